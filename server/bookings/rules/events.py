"""The events that others learn of: the types of the events of bookings, and what each one says."""

from collections.abc import Mapping

import orjson

from server.frame.events import EventType
from storage.bookings.records import Booking
from storage.frame.records import Event

_READ = ("bookings.read", "bookings.read_all")

EVENT_TYPES: Mapping[str, EventType] = {
    "booking.made": EventType("A booking was made; it is pending where it is to be confirmed.", _READ),
    "booking.confirmed": EventType("A pending booking was confirmed.", _READ),
    "booking.rescheduled": EventType("A booking was moved to another time.", _READ),
    "booking.canceled": EventType("A booking was canceled; its time is free again.", _READ),
    "booking.expired": EventType("A booking was not confirmed in time; its time is free again.", _READ),
}


def booking_event(happened: str, booking: Booking) -> Event:
    """What happened to a booking: made, confirmed, rescheduled, canceled or expired."""
    data = {
        "booking_id": booking.id,
        "series_id": booking.series_id,
        "customer_id": booking.customer_id,
        "booked_by": booking.booked_by,
        "state": booking.state,
        "resource_ids": booking.resource_ids,
        "seats": booking.seats,
        "local_start": booking.local_start,
        "local_second": booking.local_second,
        "time_zone": booking.time_zone,
        "start_time": booking.start_time,
        "end_time": booking.end_time,
        "lease_end_time": booking.lease_end_time,
        "cancel_reason": booking.cancel_reason,
        "version": booking.version,
        "create_time": booking.create_time,
        "update_time": booking.update_time,
    }
    return Event(f"booking.{happened}", booking.id, orjson.dumps(data).decode(), booking.update_time)

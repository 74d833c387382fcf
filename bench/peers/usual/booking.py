"""Booking a resource: one use case, one transaction, by entities in a session."""

import hashlib
from datetime import UTC, datetime, timedelta
from typing import Annotated
from uuid import UUID
from zoneinfo import ZoneInfo

from fastapi import status
from pydantic import BaseModel, Field
from sqlalchemy import select
from sqlalchemy.dialects.postgresql import Range
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession
from uuid_utils.compat import uuid7

from bench.peers.usual.booking_models import CONFIRMED, Booking, BookingRequest, Event, Resource
from bench.peers.usual.errors import Refusal, RequestIdReused
from bench.peers.usual.models import AuditEntry
from bench.peers.usual.placing import Call
from bench.peers.usual.schemas import Out

BOOK = "POST /bookings"
"""Its name in the record of changes."""
_MINUTE = timedelta(minutes=1)


class BookingIn(BaseModel):
    request_id: UUID | None = None
    """Makes repeating the request safe."""
    resource_id: UUID
    start_time: datetime
    duration_minutes: Annotated[int, Field(ge=1, le=44_640)]
    customer_id: Annotated[str, Field(max_length=64)] = ""
    title: Annotated[str, Field(max_length=200)] = ""


class BookingOut(Out):
    id: UUID
    resource_id: UUID
    customer_id: str
    booked_by: UUID
    state: str
    title: str
    start_time: datetime
    end_time: datetime
    create_time: datetime
    update_time: datetime


class ResourceNotFound(Refusal):
    """The resource does not exist."""

    status_code = status.HTTP_404_NOT_FOUND
    reason = "RESOURCE_NOT_FOUND"


class NotBookable(Refusal):
    """The resource is closed, or cannot be booked so soon, so late, or between its steps."""

    status_code = status.HTTP_409_CONFLICT
    reason = "NOT_BOOKABLE"


class AlreadyBooked(Refusal):
    """Another booking takes this time."""

    status_code = status.HTTP_409_CONFLICT
    reason = "ALREADY_BOOKED"


class BookingService:
    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def book(self, asked: BookingIn, call: Call) -> BookingOut:
        """Books a resource for a time; a repeated request gets the first answer.

        Raises RequestIdReused, ResourceNotFound, NotBookable, AlreadyBooked.
        """
        booking_id = uuid7()
        if asked.request_id is not None:
            earlier = await self._claim(asked, asked.request_id, call, booking_id)
            if earlier is not None:
                return BookingOut.model_validate(earlier)
        # The row's lock lets callers wait in turn: the constraint alone would have them fail, or deadlock.
        resource = await self._session.get(Resource, asked.resource_id, with_for_update=True)
        if resource is None:
            raise ResourceNotFound
        start, end = asked.start_time, asked.start_time + asked.duration_minutes * _MINUTE
        check_bookable(resource, start, end, call.time)
        overlapping = select(Booking.id).where(
            Booking.resource_id == resource.id,
            Booking.state == CONFIRMED,
            Booking.start_time < end,
            Booking.end_time > start,
            Booking.start_time > start - timedelta(days=31),
        )
        if (await self._session.scalars(overlapping.limit(1))).first() is not None:
            raise AlreadyBooked
        booking = self._add(asked, resource, call, booking_id)
        try:
            await self._session.commit()
        except IntegrityError as error:
            if "ex_bookings_no_overlap" in str(error.orig):
                raise AlreadyBooked from error
            raise
        return BookingOut.model_validate(booking)

    async def _claim(self, asked: BookingIn, request_id: UUID, call: Call, booking_id: UUID) -> Booking | None:
        """The booking of an earlier request; None where this one is the first."""
        digest = hashlib.sha256(asked.model_dump_json(exclude={"request_id"}).encode()).digest()
        key = {"caller_id": call.caller.account_id, "request_id": request_id}
        statement = upsert(BookingRequest).values(**key, digest=digest, booking_id=booking_id)
        claiming = statement.on_conflict_do_nothing().returning(BookingRequest.request_id)
        if (await self._session.execute(claiming)).first() is not None:
            return None
        earlier = await self._session.get_one(BookingRequest, (call.caller.account_id, request_id))
        if earlier.digest != digest:
            raise RequestIdReused
        return await self._session.get_one(Booking, earlier.booking_id)

    def _add(self, asked: BookingIn, resource: Resource, call: Call, booking_id: UUID) -> Booking:
        start, end = asked.start_time, asked.start_time + asked.duration_minutes * _MINUTE
        booking = Booking(
            id=booking_id,
            resource_id=resource.id,
            resource_number=resource.number,
            customer_id=asked.customer_id or str(call.caller.account_id),
            booked_by=call.caller.account_id,
            state=CONFIRMED,
            title=asked.title,
            start_time=start,
            end_time=end,
            occupied=Range(start, end),
            create_time=call.time,
            update_time=call.time,
        )
        told = {"state": CONFIRMED, "start_time": start.isoformat(), "end_time": end.isoformat()}
        event = Event(type="booking.made", subject_id=booking_id, data=told, create_time=call.time)
        entry = AuditEntry(
            create_time=call.time,
            caller_id=call.caller.account_id,
            action=BOOK,
            resource=f"booking/{booking_id}",
            address=call.address,
            call_id=str(call.id),
            result="OK",
        )
        self._session.add_all([booking, event, entry])
        return booking


def check_bookable(resource: Resource, start: datetime, end: datetime, now: datetime) -> None:
    """Raises NotBookable."""
    zone = ZoneInfo(resource.time_zone)
    local, local_end = start.astimezone(zone), (end - _MINUTE).astimezone(zone)
    first = local.hour * 60 + local.minute
    last = local_end.hour * 60 + local_end.minute + 1
    open_then = resource.opens <= first < last <= resource.closes and local.date() == local_end.date()
    on_step = (first - resource.opens) % resource.slot_step_minutes == 0 and local.second == 0
    soonest = now + resource.minimum_notice_minutes * _MINUTE
    latest = now + resource.booking_window_minutes * _MINUTE
    if not (open_then and on_step and soonest <= start.astimezone(UTC) <= latest):
        raise NotBookable

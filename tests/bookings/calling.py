"""Resources, and what callers ask for, for tests of bookings."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

from backroom.bookings.v1 import booking_service_pb2 as pb
from backroom.bookings.v1 import bookings_pb2, resources_pb2
from server.frame.wire import timestamp
from tests.fixtures.servers import Api

ALL_DAY = [resources_pb2.OpeningPeriod(day=day, opens="00:00", closes="24:00") for day in range(1, 8)]
"""Open at any time."""


def ahead(days: int = 7, hour: int = 9, minute: int = 0) -> datetime:
    """A time on a day to come, in UTC."""
    day = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=days)
    return day + timedelta(hours=hour, minutes=minute)


def room(**rest: Any) -> resources_pb2.Resource:
    """A resource that is open at any time, as a caller describes it."""
    return resources_pb2.Resource(**{"name": "Room", "time_zone": "UTC", "opening_hours": ALL_DAY, **rest})


async def made(api: Api, **rest: Any) -> str:
    """The id of a new resource."""
    request = pb.CreateResourceRequest(request_id=str(uuid4()), resource=room(**rest))
    resource_id: str = (await api.bookings.CreateResource(request)).resource.resource_id
    return resource_id


def all_of(*resource_ids: str) -> list[bookings_pb2.ResourceChoice]:
    return [bookings_pb2.ResourceChoice(resource_ids=[each]) for each in resource_ids]


def any_of(*resource_ids: str) -> list[bookings_pb2.ResourceChoice]:
    return [bookings_pb2.ResourceChoice(resource_ids=resource_ids)]


def ask(*resource_ids: str, at: datetime | str, minutes: int = 60, **rest: Any) -> pb.BookRequest:
    """A request to book all of these, at an instant or a local time, under a request_id of its own."""
    start = {"local_start": at} if isinstance(at, str) else {"start_time": timestamp(at)}
    values = {"request_id": str(uuid4()), "choices": all_of(*resource_ids), "duration_minutes": minutes}
    return pb.BookRequest(**{**values, **start, **rest})


async def booked(api: Api, *resource_ids: str, **rest: Any) -> bookings_pb2.Booking:
    booking: bookings_pb2.Booking = (await api.bookings.Book(ask(*resource_ids, **rest))).booking
    return booking


def series(first: pb.BookRequest, rule: str, *, all_or_none: bool = True, excluded: Sequence[str] = ()) -> Any:
    policy = (
        bookings_pb2.Recurrence.POLICY_ALL_OR_NONE if all_or_none else bookings_pb2.Recurrence.POLICY_THOSE_THAT_FIT
    )
    going_on = bookings_pb2.Recurrence(rule=rule, policy=policy, excluded=excluded)
    return pb.BookSeriesRequest(request_id=str(uuid4()), first=first, recurrence=going_on)


async def found(api: Api, booking_id: str) -> bookings_pb2.Booking:
    booking: bookings_pb2.Booking = (await api.bookings.GetBooking(pb.GetBookingRequest(booking_id=booking_id))).booking
    return booking


async def slots(
    api: Api, *resource_ids: str, minutes: int = 60, begin: datetime, end: datetime, **rest: Any
) -> list[datetime]:
    """When bookings can begin in a window, on all pages."""
    values = {"choices": all_of(*resource_ids), "duration_minutes": minutes, "page_size": 1000}
    window = {"start_time": timestamp(begin), "end_time": timestamp(end)}
    request = pb.FindAvailabilityRequest(**{**values, **window, **rest})
    starts: list[datetime] = []
    while True:
        page = await api.bookings.FindAvailability(request)
        starts += [slot.start_time.ToDatetime(UTC) for slot in page.slots]
        if not page.next_page_token:
            return starts
        request.page_token = page.next_page_token

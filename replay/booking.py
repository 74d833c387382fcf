"""A day of delivery slots, booked by more callers than there are places for."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import grpc

from backroom.bookings.v1.booking_service_pb2 import (
    BookRequest,
    CreateResourceRequest,
    ListBookingsRequest,
    ListResourcesRequest,
)
from backroom.bookings.v1.bookings_pb2 import BOOKING_STATE_CONFIRMED, ResourceChoice
from backroom.bookings.v1.resources_pb2 import OpeningPeriod, Resource
from backroom_client import AsyncBackroom, refusal_of, request_id_for
from backroom_client.concurrently import concurrently
from replay.calling import IN_FLIGHT, NOT_HERE, NotShown, ReplayFailed, reason_of
from replay.plan import SHOP

_NAME = "Delivery (made by backroom demo)"
FIRST_HOUR, LAST_HOUR = 8, 20
PLACES = 3
"""Of each slot."""
_CALLERS = 10
"""For each hour, from the one before it opens to the one after."""
_SLOT = timedelta(hours=1)
_DAYS_AHEAD = 300
"""So that the day is still ahead of a run that comes much later, which asks for the same times."""
_PAGE = 1000


@dataclass(frozen=True, slots=True)
class BookedDay:
    """What became of a day's slots."""

    callers: int
    slots: int
    booked: Mapping[datetime, int]
    """Bookings of each slot, as the server lists them afterwards."""
    refused: Mapping[str, int]
    """Callers by the reason that they were refused for."""

    @property
    def complete(self) -> bool:
        """Whether each slot has as many bookings as places, and every other caller was refused."""
        full = len(self.booked) == self.slots and set(self.booked.values()) == {PLACES}
        return full and sum(self.booked.values()) + sum(self.refused.values()) == self.callers


async def book_day(client: AsyncBackroom) -> BookedDay:
    """Books each slot of a day many times at once; a second time changes nothing.

    Raises NotShown, and ReplayFailed where it cannot go on.
    """
    try:
        resource = await _find(client) or await _create(client)
        refused = await _crowd(client, resource)
        return await _booked(client, resource, refused)
    except grpc.aio.AioRpcError as error:
        refusal = refusal_of(error)
        text = f"{refusal.reason}: {refusal.message}" if refusal else error.details() or "no answer"
        if error.code() in NOT_HERE:
            raise NotShown(text) from error
        raise ReplayFailed(f"the slots were not booked: {error.code().name}: {text}") from error


async def _find(client: AsyncBackroom) -> Resource | None:
    """What an earlier run made."""
    request = ListResourcesRequest(page_size=_PAGE)
    while True:
        page = await client.bookings.ListResources(request)
        for resource in page.resources:
            if resource.name == _NAME:
                return resource
        if not page.next_page_token:
            return None
        request.page_token = page.next_page_token


async def _create(client: AsyncBackroom) -> Resource:
    opens, closes = f"{FIRST_HOUR:02}:00", f"{LAST_HOUR:02}:00"
    weekly = [OpeningPeriod(day=day, opens=opens, closes=closes) for day in range(1, 8)]
    resource = Resource(name=_NAME, time_zone="UTC", opening_hours=weekly, capacity=PLACES, slot_step_minutes=60)
    request = CreateResourceRequest(request_id=request_id_for(SHOP, "delivery"), resource=resource)
    return (await client.bookings.CreateResource(request)).resource


async def _crowd(client: AsyncBackroom, resource: Resource) -> Mapping[str, int]:
    """Has all callers book at once, and returns how many were refused for which reason."""
    refused: Counter[str] = Counter()

    async def book(request: BookRequest) -> None:
        try:
            await client.bookings.Book(request)
        except grpc.aio.AioRpcError as error:
            refusal = refusal_of(error)
            if refusal is None or error.code() is not grpc.StatusCode.FAILED_PRECONDITION:
                raise
            refused[reason_of(refusal)] += 1

    await concurrently(book, _requests(resource), at_once=IN_FLIGHT)
    return refused


def _requests(resource: Resource) -> list[BookRequest]:
    """One of each caller; those for one hour are not neighbors."""
    return [
        BookRequest(
            request_id=request_id_for(SHOP, "delivery", resource.resource_id, str(hour), str(caller)),
            choices=[ResourceChoice(resource_ids=[resource.resource_id])],
            local_start=(_day(resource) + timedelta(hours=hour)).strftime("%Y-%m-%dT%H:%M"),
            duration_minutes=_SLOT // timedelta(minutes=1),
            customer_id=f"customer-{hour}-{caller}",
            title="Delivery",
        )
        for caller in range(_CALLERS)
        for hour in range(FIRST_HOUR - 1, LAST_HOUR + 1)
    ]


def _day(resource: Resource) -> datetime:
    """The same in each run: counted from when the resource was made."""
    made = resource.create_time.ToDatetime(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return made + timedelta(days=_DAYS_AHEAD)


async def _booked(client: AsyncBackroom, resource: Resource, refused: Mapping[str, int]) -> BookedDay:
    request = ListBookingsRequest(page_size=_PAGE, resource_id=resource.resource_id, state=BOOKING_STATE_CONFIRMED)
    found = (await client.bookings.ListBookings(request)).bookings
    booked = Counter(booking.start_time.ToDatetime(UTC) for booking in found)
    hours = LAST_HOUR - FIRST_HOUR
    return BookedDay(_CALLERS * (hours + 2), hours, booked, refused)

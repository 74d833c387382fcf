"""Reading what is taken, deciding by it, and storing what follows: the same for whatever makes or moves bookings."""

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from datetime import UTC, datetime
from typing import TypeVar
from uuid import UUID

from server.bookings.rules import life
from server.bookings.rules.asking import windows_of
from server.bookings.rules.events import booking_event
from server.bookings.rules.placing import Placement, Scattered, Terms
from server.frame.batching import retry_on_contention
from storage.bookings.records import Booking, BusyWindow, Resource
from storage.bookings.store import BookingsTransaction
from storage.errors import AlreadyExists, StoreContention
from storage.frame.records import NOBODY, ChangeContext

EXPIRE = "bookings.expire"
"""The task that ends leases."""

Times = Sequence[tuple[Sequence[UUID], int, int]]
"""Resources, and from when until when they are wanted."""

Decision = TypeVar("Decision")

_FAR = datetime(9999, 1, 1, tzinfo=UTC)


async def retried(act: Callable[[], Awaitable[Decision]]) -> Decision:
    """Acts again where another transaction was in the way, or took the time without having locked the resource."""

    async def attempt() -> Decision:
        try:
            return await act()
        except AlreadyExists as error:
            raise StoreContention from error

    return await retry_on_contention(attempt)


async def place(
    tx: BookingsTransaction,
    resources: Mapping[UUID, Resource],
    times: Times,
    now: datetime,
    decide: Callable[[Placement], Decision],
    *,
    terms: Terms = Terms(),  # noqa: B008 - it is frozen
    ahead: Mapping[str, int] | None = None,
    moving: UUID | None = None,
) -> Decision:
    """Decides over resources that this transaction has locked, and stores what was decided.

    `moving` is the booking that is to have another time, and whose own places are free to it.
    """
    whole: set[UUID] = set()
    while True:
        rest = (BusyWindow(resources[each].number, now, _FAR) for each in whole)
        taken = await tx.occupancies.find_busy([*windows_of(times, resources), *rest])
        busy = [each for each in taken if each.booking_id != moving]
        placement = Placement(resources, busy, now, terms=terms, ahead=ahead, whole=whole)
        try:
            decided = decide(placement)
        except Scattered as scattered:
            whole.add(scattered.resource_id)
        else:
            await _store(tx, placement, now)
            return decided


async def _store(tx: BookingsTransaction, placement: Placement, now: datetime) -> None:
    await expire(tx, placement.ended, now)
    await tx.occupancies.move(placement.moved_occupancies)
    await tx.bookings.add(placement.bookings, placement.new_occupancies)
    await tx.resources.mark_chosen(placement.chosen)
    await tx.events.publish([booking_event("made", booking) for booking in placement.bookings])


async def expire(tx: BookingsTransaction, booking_ids: Collection[UUID], now: datetime) -> int:
    """Ends the bookings of these that were not confirmed in time, and returns how many those were."""
    found = (await tx.bookings.lock_many(booking_ids)).values()
    due = [booking for booking in found if life.is_due(booking, now)]
    if due:
        await end(tx, "expired", [life.expired(booking, now) for booking in due])
        context = ChangeContext(NOBODY, EXPIRE, now)
        await tx.audit.record([context.entry(f"booking/{booking.id}") for booking in due])
    return len(due)


async def end(tx: BookingsTransaction, happened: str, ended: Sequence[Booking]) -> None:
    """Stores bookings that take their time no longer."""
    await tx.bookings.change(ended)
    await tx.occupancies.release([booking.id for booking in ended])
    await tx.events.publish([booking_event(happened, booking) for booking in ended])

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import TypeVar
from uuid import UUID

from server.bookings.errors import BookingStateConflict
from server.bookings.rules import life
from server.bookings.rules.asking import Start, span_at
from server.bookings.rules.events import booking_event
from server.bookings.rules.hours import MINUTE
from server.bookings.service.answers import BOOKING, CHANGED_BOOKINGS, ChangedBookings
from server.bookings.service.placing import end, expire, place, retried
from server.frame.batching import retry_on_contention
from server.frame.caller import Caller
from server.frame.errors import Refusal
from server.frame.repeating import once
from storage.bookings.records import Booking, BookingState, Resource
from storage.bookings.store import BookingsStore, BookingsTransaction
from storage.frame.records import ChangeContext

_EXPIRED_AT_ONCE = 100

Answer = TypeVar("Answer")


class Changing:
    """What becomes of bookings once they are made."""

    def __init__(self, store: BookingsStore, now: Callable[[], datetime]) -> None:
        self._store = store
        self._now = now

    async def confirm(self, caller: Caller, booking_id: UUID, context: ChangeContext) -> Booking:
        """Confirms a pending booking; raises BookingNotFound, LeaseExpired, BookingStateConflict."""

        async def act(tx: BookingsTransaction) -> Booking:
            booking, _ = await _lock(tx, caller, booking_id)
            (confirmed,) = await self._confirmed(tx, [booking])
            return confirmed

        return await self._once(context, act, booking_id)

    async def confirm_series(self, caller: Caller, series_id: UUID, context: ChangeContext) -> Sequence[Booking]:
        """Confirms the pending bookings of a series; raises SeriesNotFound, LeaseExpired, BookingStateConflict."""

        async def act(tx: BookingsTransaction) -> ChangedBookings:
            found = [booking for booking, _ in await _lock_series(tx, caller, series_id)]
            open_ones = [each for each in found if each.state not in (BookingState.CANCELED, BookingState.CONFIRMED)]
            if not open_ones:
                raise BookingStateConflict(state=found[0].state.name, needed=BookingState.PENDING.name)
            return ChangedBookings(tuple(await self._confirmed(tx, open_ones)))

        return await self._once_for_series(context, act, series_id)

    async def reschedule(
        self, caller: Caller, booking_id: UUID, start: Start, duration_minutes: int, context: ChangeContext
    ) -> Booking:
        """Moves a booking to another time in one step; 0 minutes means as long as before.

        Raises BookingNotFound, LeaseExpired, BookingStateConflict, CutoffPassed, FieldInvalid, and why the new time
        cannot be booked.
        """

        async def act(tx: BookingsTransaction) -> Booking:
            booking, resources = await _lock(tx, caller, booking_id)
            now = self._now()
            life.check_changeable(booking, resources, caller, now)
            lasting = int((booking.end_time - booking.start_time).total_seconds()) // MINUTE
            span = span_at(start, duration_minutes or lasting, booking.time_zone)
            moved = await place(
                tx,
                {each.id: each for each in resources},
                [(booking.resource_ids, span.start, span.end)],
                now,
                lambda placement: placement.move(booking, span),
                moving=booking_id,
            )
            await tx.bookings.change([moved])
            await tx.events.publish([booking_event("rescheduled", moved)])
            return moved

        return await self._once(context, act, booking_id)

    async def cancel(self, caller: Caller, booking_id: UUID, reason: str, context: ChangeContext) -> Booking:
        """Raises BookingNotFound, LeaseExpired, BookingStateConflict, CutoffPassed."""

        async def act(tx: BookingsTransaction) -> Booking:
            booking, resources = await _lock(tx, caller, booking_id)
            now = self._now()
            life.check_changeable(booking, resources, caller, now)
            canceled = life.canceled(booking, reason, now)
            await end(tx, "canceled", [canceled])
            return canceled

        return await self._once(context, act, booking_id)

    async def cancel_series(
        self, caller: Caller, series_id: UUID, reason: str, context: ChangeContext
    ) -> Sequence[Booking]:
        """Cancels those bookings of a series that the caller can still cancel.

        Raises SeriesNotFound, and BookingStateConflict where there are none.
        """

        async def act(tx: BookingsTransaction) -> ChangedBookings:
            found = await _lock_series(tx, caller, series_id)
            now = self._now()
            changeable = [booking for booking, resources in found if _can_change(booking, resources, caller, now)]
            if not changeable:
                raise BookingStateConflict(state=found[0][0].state.name, needed="ahead of its cut-off")
            canceled = [life.canceled(booking, reason, now) for booking in changeable]
            await end(tx, "canceled", canceled)
            return ChangedBookings(tuple(canceled))

        return await self._once_for_series(context, act, series_id)

    async def expire_due(self) -> int:
        """Ends the leases whose time is over, some at a time, and returns how many those were."""
        expired = 0
        while count := await retry_on_contention(self._expire_some):
            expired += count
        return expired

    async def _expire_some(self) -> int:
        now = self._now()
        async with self._store.transaction() as tx:
            due = await tx.bookings.find_due(now, _EXPIRED_AT_ONCE)
            await tx.resources.lock_many({resource_id for booking in due for resource_id in booking.resource_ids})
            return await expire(tx, [booking.id for booking in due], now)

    async def _confirmed(self, tx: BookingsTransaction, pending: Sequence[Booking]) -> Sequence[Booking]:
        now = self._now()
        confirmed = [life.confirmed(booking, now) for booking in pending]
        await tx.bookings.change(confirmed)
        await tx.occupancies.confirm([booking.id for booking in confirmed])
        await tx.events.publish([booking_event("confirmed", booking) for booking in confirmed])
        return confirmed

    async def _once(
        self, context: ChangeContext, act: Callable[[BookingsTransaction], Awaitable[Booking]], booking_id: UUID
    ) -> Booking:
        return await retried(lambda: once(self._store, context, BOOKING, act, f"booking/{booking_id}"))

    async def _once_for_series(
        self,
        context: ChangeContext,
        act: Callable[[BookingsTransaction], Awaitable[ChangedBookings]],
        series_id: UUID,
    ) -> Sequence[Booking]:
        changed = await retried(lambda: once(self._store, context, CHANGED_BOOKINGS, act, f"series/{series_id}"))
        return changed.bookings


async def _lock(tx: BookingsTransaction, caller: Caller, booking_id: UUID) -> tuple[Booking, Sequence[Resource]]:
    """A booking that the caller may see, and its resources, all locked; raises BookingNotFound."""
    found = life.visible(await tx.bookings.find(booking_id), caller, booking_id)
    ((booking, resources),) = await _locked(tx, [found])
    return booking, resources


async def _lock_series(
    tx: BookingsTransaction, caller: Caller, series_id: UUID
) -> Sequence[tuple[Booking, Sequence[Resource]]]:
    """The same of all bookings of a series, by when they begin; raises SeriesNotFound."""
    found = life.visible_series(await tx.bookings.find_series(series_id), caller, series_id)
    return await _locked(tx, found)


async def _locked(tx: BookingsTransaction, found: Sequence[Booking]) -> Sequence[tuple[Booking, Sequence[Resource]]]:
    """Resources first, in key order, and bookings then: what a booking has of resources never changes."""
    resources = await tx.resources.lock_many({each for booking in found for each in booking.resource_ids})
    bookings = await tx.bookings.lock_many([booking.id for booking in found])
    return [(bookings[booking.id], [resources[each] for each in booking.resource_ids]) for booking in found]


def _can_change(booking: Booking, resources: Sequence[Resource], caller: Caller, now: datetime) -> bool:
    try:
        life.check_changeable(booking, resources, caller, now)
    except Refusal:
        return False
    return True

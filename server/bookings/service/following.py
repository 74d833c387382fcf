from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import structlog

from server.bookings.rules.events import booking_event
from server.bookings.rules.hours import moment_by_clock
from server.frame.batching import retry_on_contention
from storage.bookings.records import ACTIVE, Booking
from storage.bookings.store import BookingsStore
from storage.errors import AlreadyExists
from storage.frame.records import NOBODY, ChangeContext

FOLLOW_ZONES = "bookings.follow_zones"
"""The task that has bookings keep their local time."""

_READ_AT_ONCE = 1_000
_MOVED_AT_ONCE = 1_000


class FollowingZones:
    """Has bookings keep their local time where the rules of its zone have changed since they were made."""

    def __init__(
        self, store: BookingsStore, now: Callable[[], datetime], logger: structlog.typing.FilteringBoundLogger
    ) -> None:
        self._store = store
        self._now = now
        self._logger = logger

    async def follow(self) -> int:
        """Moves the bookings ahead that begin by the clock at another moment than was computed; returns how many.

        One that would overlap another booking, kept in another zone, stays where it is, and the log tells of it.
        """
        moved = 0
        outdated = await self._find_outdated()
        for place in range(0, len(outdated), _MOVED_AT_ONCE):
            moved += await self._move(outdated[place : place + _MOVED_AT_ONCE])
        return moved

    async def _find_outdated(self) -> Sequence[Booking]:
        now, after, outdated = self._now(), None, list[Booking]()
        while True:
            async with self._store.reading() as reading:
                page = await reading.bookings.find_ahead(now, after, _READ_AT_ONCE)
            outdated += [booking for booking in page if _as_it_should_be(booking) != booking]
            if len(page) < _READ_AT_ONCE:
                return outdated
            after = (page[-1].start_time, page[-1].id)

    async def _move(self, outdated: Sequence[Booking]) -> int:
        """All at once, since each may need the time that another one leaves."""
        try:
            return await retry_on_contention(lambda: self._move_together(outdated))
        except AlreadyExists:
            if len(outdated) == 1:
                self._logger.warning("booking_in_the_way", booking_id=str(outdated[0].id))
                return 0
        middle = len(outdated) // 2
        return await self._move(outdated[:middle]) + await self._move(outdated[middle:])

    async def _move_together(self, outdated: Sequence[Booking]) -> int:
        async with self._store.transaction() as tx:
            await tx.resources.lock_many({each for booking in outdated for each in booking.resource_ids})
            now = self._now()
            locked = (await tx.bookings.lock_many([booking.id for booking in outdated])).values()
            pairs = [(booking, _as_it_should_be(booking)) for booking in locked if booking.state in ACTIVE]
            moved = [
                replace(after, version=after.version + 1, update_time=now) for before, after in pairs if after != before
            ]
            await tx.bookings.change(moved)
            await tx.occupancies.shift({booking.id: booking.start_time for booking in moved})
            await tx.events.publish([booking_event("rescheduled", booking) for booking in moved])
            context = ChangeContext(NOBODY, FOLLOW_ZONES, now)
            await tx.audit.record([context.entry(f"booking/{booking.id}") for booking in moved])
        return len(moved)


def _as_it_should_be(booking: Booking) -> Booking:
    """The booking at its local time, by the rules of its zone as they are known now."""
    start = moment_by_clock(booking.local_start, booking.time_zone, second=booking.local_second)
    later: timedelta = start - booking.start_time
    return replace(booking, start_time=start, end_time=booking.end_time + later) if later else booking

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from uuid import UUID

from server.bookings.rules import life
from server.frame.caller import Caller
from server.frame.change_log import ChangeLog
from server.frame.resuming import Position
from server.frame.watching import Feed, WatchMessages
from storage.bookings.records import Booking, BookingAudience, BookingChange, BookingFilter
from storage.bookings.store import BookingsReading, BookingsStore


class BookingChanges(ChangeLog[BookingsReading, BookingChange, BookingAudience]):
    """The log of what happened to bookings."""

    def __init__(self) -> None:
        super().__init__(
            lambda reading: reading.booking_changes,
            BookingAudience(),
            lambda change, audience: life.concerns(change.booking, audience),
        )


class Bookings:
    """Bookings as they are read and watched."""

    def __init__(self, store: BookingsStore, now: Callable[[], datetime]) -> None:
        self._store = store
        self.feed = Feed(store, BookingChanges(), now)

    async def get(self, caller: Caller, booking_id: UUID) -> Booking:
        """Raises BookingNotFound."""
        async with self._store.reading() as reading:
            return life.visible(await reading.bookings.find(booking_id), caller, booking_id)

    async def list_by_start(
        self, caller: Caller, wanted: BookingFilter, *, after: tuple[datetime, UUID] | None, limit: int
    ) -> Sequence[Booking]:
        """Bookings by when they begin; raises CustomerNotPermitted."""
        allowed = replace(wanted, customer_id=life.customer_to_list(wanted.customer_id, caller))
        async with self._store.reading() as reading:
            return await reading.bookings.list_by_start(allowed, after=after, limit=limit)

    def watch(
        self, caller: Caller, customer_id: str | None, resource_id: UUID | None, position: Position | None
    ) -> WatchMessages[BookingChange]:
        """Sends a caller the changes of all bookings that it may see, or of some; raises CustomerNotPermitted."""
        return self.feed.watch(position, life.audience_of(customer_id, resource_id, caller))

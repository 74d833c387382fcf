from collections.abc import Callable, Iterable
from datetime import UTC, date, datetime, timedelta

from server.events.rules.batches import DAY
from server.frame.batching import retry_on_contention
from storage.events.store import EventsStore

CREATE_PARTITIONS = "events.create_partitions"
DROP_PARTITIONS = "events.drop_partitions"
"""The tasks."""

MAX_DAYS = 4_000
"""Of which events may be stored: each is a table with its indexes."""
_AHEAD_DAYS = 3
_AT_ONCE = 20
"""Made in one transaction, in milliseconds each."""
_EPOCH = date(1970, 1, 1)


class Partitions:
    """The days, in UTC, that have a partition: made ahead, or when the first event of a day comes, and dropped."""

    def __init__(self, store: EventsStore, now: Callable[[], datetime], retention_days: int) -> None:
        """`retention_days` is 0 where events are kept for ever."""
        self._store = store
        self._now = now
        self._retention_days = retention_days
        self._known: frozenset[date] | None = None

    async def ensure(self, times: Iterable[int]) -> frozenset[int]:
        """Makes the partitions that events of these times, in microseconds since 1970, lack.

        Returns the days, counted from 1970, that cannot have one, since there are as many as there may be.
        """
        days = {time // DAY for time in times}
        known = self._known if self._known is not None else await self._read()
        missing = sorted(day for day in days if _EPOCH + timedelta(days=day) not in known)
        if not missing:
            return frozenset()
        known = await self._read()  # another server may have made them
        missing = [day for day in missing if _EPOCH + timedelta(days=day) not in known]
        room = max(0, MAX_DAYS - len(known))
        await self._create([_EPOCH + timedelta(days=day) for day in missing[:room]])
        return frozenset(missing[room:])

    @property
    def forgotten(self) -> bool:
        """Whether it is to be asked again which there are."""
        return self._known is None

    def forget(self) -> None:
        """Has them read again: one was dropped meanwhile."""
        self._known = None

    async def create_ahead(self) -> None:
        """Makes those of today and of the next days."""
        today = self._now().astimezone(UTC).date()
        await self._create([today + timedelta(days=ahead) for ahead in range(_AHEAD_DAYS + 1)])

    async def drop_old(self) -> int:
        """Drops the days of which no event would be accepted any more, one in each transaction; how many those were."""
        if not self._retention_days:
            return 0
        # A day later than must be, since an event at the very end of the period may be on its way.
        first = (self._now() - timedelta(days=self._retention_days + 1)).astimezone(UTC).date()
        old = sorted(day for day in await self._read() if day < first)
        for day in old:
            await retry_on_contention(lambda day=day: self._drop(day))  # type: ignore[misc]  # mypy infers no default
        await self._read()
        return len(old)

    async def _drop(self, day: date) -> bool:
        async with self._store.transaction() as tx:
            dropped = await tx.partitions.drop(day)
            await tx.rollups.remove_day(day)
            return dropped

    async def _create(self, days: list[date]) -> None:
        for start in range(0, len(days), _AT_ONCE):
            some = days[start : start + _AT_ONCE]
            async with self._store.transaction() as tx:
                await tx.partitions.create(some)
            self._known = (self._known or frozenset()).union(some)

    async def _read(self) -> frozenset[date]:
        async with self._store.reading() as reading:
            self._known = frozenset(await reading.partitions.list_days())
        return self._known

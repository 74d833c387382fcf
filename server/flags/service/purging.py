from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

from server.frame.retention import purge_in_batches
from storage.flags.records import UsagePeriod
from storage.flags.store import FlagsStore, FlagsTransaction

RETENTION: Mapping[UsagePeriod, timedelta] = {
    UsagePeriod.MINUTE: timedelta(days=7),
    UsagePeriod.DAY: timedelta(days=400),
}
"""For how long counts are kept, as the contract says."""


class Purging:
    """Deletes old counts."""

    def __init__(self, store: FlagsStore, now: Callable[[], datetime]) -> None:
        self._store = store
        self._now = now

    async def purge(self) -> None:
        """Deletes the counts that are past their retention."""
        for period, kept in RETENTION.items():
            await self._purge(period, self._now() - kept)

    async def _purge(self, period: UsagePeriod, before: datetime) -> None:
        async def some(tx: FlagsTransaction, limit: int) -> int:
            return await tx.usage.purge(period, before, limit)

        await purge_in_batches(self._store, some)

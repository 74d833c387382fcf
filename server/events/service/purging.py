from collections.abc import Callable
from datetime import datetime, timedelta

from server.frame.retention import EVENT_RETENTION, RETENTION, purge_in_batches
from storage.events.store import EventsStore

PURGE = "events.purge"
"""The task."""

_PAGES = 2_000
"""Of the keys, looked through in one transaction: 16 MB."""
_MARGIN = timedelta(hours=1)
"""A batch with a lower number may have been received later, by less than this."""


class Purging:
    """Deletes what is kept for 30 days: keys, the log of batches, and refused events."""

    def __init__(self, store: EventsStore, now: Callable[[], datetime]) -> None:
        self._store = store
        self._now = now

    async def purge(self) -> None:
        """The keys first, since it is the log of batches that says how old they are."""
        now = self._now()
        await self._sweep_keys(now - RETENTION - _MARGIN)
        await purge_in_batches(self._store, lambda tx, limit: tx.keys.purge_batches(now - EVENT_RETENTION, limit))
        await purge_in_batches(self._store, lambda tx, limit: tx.refused_events.purge(now - RETENTION, limit))

    async def _sweep_keys(self, before: datetime) -> None:
        """Looks the whole table through, part by part: an index over the batches would cost each event something."""
        async with self._store.transaction() as tx:
            last_batch, pages = await tx.keys.last_before(before), await tx.keys.count_pages()
        if last_batch is None:
            return
        for first_page in range(0, pages, _PAGES):
            async with self._store.transaction() as tx:
                await tx.keys.sweep(last_batch, first_page, _PAGES)

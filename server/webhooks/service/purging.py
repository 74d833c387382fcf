from collections.abc import Callable
from datetime import datetime, timedelta

from server.frame.retention import purge_in_batches
from storage.webhooks.store import WebhooksStore

RETENTION = timedelta(days=30)
"""For how long deliveries are kept, and secrets at least: a repeated request shows its secret again."""


class Purging:
    """Forgets what is old."""

    def __init__(self, store: WebhooksStore, now: Callable[[], datetime]) -> None:
        self._store = store
        self._now = now

    async def purge(self) -> None:
        """Forgets finished deliveries, and secrets that nothing is signed with."""
        now = self._now()
        before = now - RETENTION
        await purge_in_batches(self._store, lambda tx, limit: tx.deliveries.purge(before, limit))
        async with self._store.transaction() as tx:
            await tx.endpoints.purge_secrets(ended_before=now, created_before=before)

from collections.abc import Callable
from datetime import datetime, timedelta

from storage.database import Database

KEPT = timedelta(days=30)
"""For how long deliveries and events are kept, and secrets at least: a repeated request shows its secret again."""
_PIECE = 5_000
"""So few at once that no transaction takes long."""


class Purging:
    """Forgets what is old."""

    def __init__(self, database: Database, now: Callable[[], datetime]) -> None:
        self._database = database
        self._now = now

    async def purge(self) -> None:
        """Forgets old deliveries that are finished, old events, and secrets that nothing is signed with."""
        now = self._now()
        before = now - KEPT
        while await self._purge_deliveries(before) == _PIECE:
            pass
        async with self._database.transaction() as tx:
            await tx.endpoints.purge_secrets(ended_before=now, created_before=before)
        async with self._database.transaction() as tx:
            await tx.events.purge(before)

    async def _purge_deliveries(self, before: datetime) -> int:
        async with self._database.transaction() as tx:
            return await tx.deliveries.purge(before, _PIECE)

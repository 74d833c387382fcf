from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from server.frame.errors import AnswerFromNewerVersion, Refusal, RequestIdReused
from server.frame.finishing import Finishing
from storage.frame.records import Ask
from storage.identity.store import IdentityStore


class Refusals:
    """The record of those who asked to change who may do what, and were refused."""

    def __init__(self, store: IdentityStore, finishing: Finishing) -> None:
        self._store = store
        self._finishing = finishing

    @asynccontextmanager
    async def recorded(self, ask: Ask, resource: str) -> AsyncIterator[None]:
        """Stands around a transaction: where it is refused, and so rolled back, an entry says so with the reason."""
        try:
            yield
        except (RequestIdReused, AnswerFromNewerVersion):
            raise
        except Refusal as refusal:
            await self._finishing.finished(self._record(ask, resource, refusal.reason))
            raise

    async def _record(self, ask: Ask, resource: str, reason: str) -> None:
        async with self._store.transaction() as tx:
            await tx.audit.record([ask.entry(resource, reason)])

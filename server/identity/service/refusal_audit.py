from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from server.frame.errors import AnswerFromNewerVersion, Refusal, RequestIdReused
from server.frame.shielding import ShieldedTasks
from storage.frame.records import ChangeContext
from storage.identity.store import IdentityStore


class RefusalAudit:
    """The record of those who asked to change who may do what, and were refused."""

    def __init__(self, store: IdentityStore, shielded: ShieldedTasks) -> None:
        self._store = store
        self._shielded = shielded

    @asynccontextmanager
    async def recorded(self, context: ChangeContext, resource: str) -> AsyncIterator[None]:
        """Stands around a transaction: where it is refused, and so rolled back, an entry says so with the reason."""
        try:
            yield
        except (RequestIdReused, AnswerFromNewerVersion):
            raise
        except Refusal as refusal:
            await self._shielded.run(self._record(context, resource, refusal.reason))
            raise

    async def _record(self, context: ChangeContext, resource: str, reason: str) -> None:
        async with self._store.transaction() as tx:
            await tx.audit.record([context.entry(resource, reason)])

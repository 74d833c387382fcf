"""Has the synchronous standby confirm what many callers have read, by as few commits as that takes."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from storage.store import FrameStore


class Confirmations:
    """One wait for all that end while another wait is under way, which may have begun before what they read."""

    def __init__(self, store: FrameStore) -> None:
        self._store = store
        self._running: asyncio.Task[None] | None = None
        self._next: asyncio.Task[None] | None = None

    @asynccontextmanager
    async def confirmed(self) -> AsyncIterator[None]:
        """At the end of the block, the synchronous standby, if there is one, has all that was read within.

        Raises StoreUnavailable where that cannot be known.
        """
        before = self._store.primaries_seen
        yield
        if self._next is None:
            self._next = asyncio.create_task(self._wait_after(self._running))
            self._next.add_done_callback(lambda task: task.cancelled() or task.exception())  # its callers may be gone
        await asyncio.shield(self._next)
        self._store.ensure_no_promotion(before)

    async def _wait_after(self, running: asyncio.Task[None] | None) -> None:
        if running is not None:
            await asyncio.wait([running])
        self._running, self._next = self._next, None
        await self._store.wait_for_standby(self._store.primaries_seen)

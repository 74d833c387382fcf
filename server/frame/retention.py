"""What is kept is not kept for ever."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from typing import Any, TypeVar

from server.frame.jobs import Task
from server.frame.resuming import TOKEN_LIFE
from storage.store import FrameStore, Store
from storage.transaction import Transaction

Work = TypeVar("Work", bound=Transaction)

RETENTION = timedelta(days=30)
"""For how long a request is known again by its request_id, and an event that came in by its sender's id."""
EVENT_RETENTION = TOKEN_LIFE + timedelta(days=1)
"""For how long the log of events is kept: longer than any resume_token is good for."""

_BATCH_SIZE = 5_000


async def purge_in_batches(store: Store[Any, Work], some: Callable[[Work, int], Awaitable[int]]) -> None:
    """Has old rows deleted, piece by piece, each in a transaction of its own, until none is left.

    `some` deletes up to so many, and returns how many those were.
    """
    while True:
        async with store.transaction() as tx:
            if await some(tx, _BATCH_SIZE) < _BATCH_SIZE:
                return


def retention_tasks(store: FrameStore, now: Callable[[], datetime]) -> Sequence[Task]:
    async def purge_requests() -> None:
        before = now() - RETENTION
        await purge_in_batches(store, lambda tx, limit: tx.requests.purge(before, limit))

    async def purge_events() -> None:
        before = now() - EVENT_RETENTION
        await purge_in_batches(store, lambda tx, limit: tx.events.purge(before, limit))

    async def purge_inbox() -> None:
        before = now() - RETENTION
        await purge_in_batches(store, lambda tx, limit: tx.inbox.purge(before, limit))

    return (
        Task("frame.purge_requests", purge_requests, every="17 * * * * 0"),
        Task("frame.purge_events", purge_events, every="27 * * * * 0"),
        Task("frame.purge_inbox", purge_inbox, every="47 * * * * 10"),
    )

"""What the frame keeps is not kept for ever."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from server.frame.jobs import Task
from storage.database import Database

KEPT = timedelta(days=30)
"""For how long a request is known again by its request_id."""


def keeping_tasks(database: Database, now: Callable[[], datetime]) -> Sequence[Task]:
    async def purge_requests() -> None:
        async with database.transaction() as tx:
            await tx.requests.purge(now() - KEPT)

    return (Task("frame.purge_requests", purge_requests, every="17 * * * * 0"),)

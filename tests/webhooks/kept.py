"""The incoming webhooks in a database, read by SQL."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import text

from storage.database import Database
from storage.store import FRAME

_RECEIVED = text("SELECT source, event_id, body, process_time FROM frame.inbox ORDER BY receive_time, event_id")
_JOBS = text("SELECT task_name, args FROM procrastinate_jobs WHERE args ->> 'event_id' IS NOT NULL ORDER BY id")
_EVENTS = text(
    "SELECT type, subject_id, data, create_time FROM frame.events WHERE type LIKE 'received.%' ORDER BY type"
)
_EMPTIED = text("TRUNCATE frame.inbox, procrastinate_jobs CASCADE")


@dataclass(frozen=True)
class Kept:
    """The rows, and the jobs of received events that wait or failed."""

    received: list[dict[str, Any]]
    jobs: list[tuple[str, dict[str, str]]]

    @property
    def counts(self) -> tuple[int, int]:
        return (len(self.received), len(self.jobs))


async def kept(database: Database) -> Kept:
    async with database.store(FRAME).transaction() as tx:
        received = [dict(row) for row in (await tx._connection.execute(_RECEIVED)).mappings()]
        jobs = [(row.task_name, row.args) for row in await tx._connection.execute(_JOBS)]
    return Kept(received, jobs)


async def published(database: Database) -> list[dict[str, Any]]:
    """The event that our own callers receive for it, by its type."""
    async with database.store(FRAME).reading() as tx:
        return [dict(row) for row in (await tx._connection.execute(_EVENTS)).mappings()]


async def emptied(database: Database) -> None:
    async with database.store(FRAME).transaction() as tx:
        await tx._connection.execute(_EMPTIED)

"""Stored data is purged in time, however much it is."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from sqlalchemy import text

from server.frame import resuming, retention
from server.frame.retention import EVENT_RETENTION, RETENTION, retention_tasks
from storage.database import Database
from storage.frame.records import Claim, Event, RequestKey
from storage.store import FRAME

NOW = datetime.now(UTC)


async def count(database: Database, table: str) -> int:
    async with database.store(FRAME).reading() as tx:
        return int((await tx._connection.execute(text(f"SELECT count(*) FROM frame.{table}"))).scalar_one())


async def purged(database: Database, now: datetime) -> tuple[int, int]:
    """How many requests and events are left after old ones were purged at a given time."""
    for task in retention_tasks(database.store(FRAME), lambda: now):
        assert task.every
        await task.run()
    return await count(database, "request_ids"), await count(database, "events")


async def test_requests_and_events_are_purged_in_time(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """Events a day after the last token expires; in batches, of which the last may be empty."""
    monkeypatch.setattr(retention, "_BATCH_SIZE", 2)
    async with database.store(FRAME).transaction() as tx:
        await tx.requests.claim([Claim(RequestKey(uuid4(), uuid4(), b"digest"), "answer") for _ in range(4)])
        await tx.events.publish([Event("order.placed", uuid4(), "{}", NOW) for _ in range(5)])
    assert EVENT_RETENTION > resuming.TOKEN_LIFE
    assert await purged(database, NOW + RETENTION - timedelta(hours=1)) == (4, 5)
    assert await purged(database, NOW + RETENTION + timedelta(hours=1)) == (0, 5)
    assert await purged(database, NOW + EVENT_RETENTION + timedelta(seconds=1)) == (0, 0)

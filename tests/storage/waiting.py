"""Watches one transaction wait for another, without guessing how long that takes."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from sqlalchemy import text

from storage.database import Database
from storage.store import FRAME

T = TypeVar("T")

_LOCKED = text("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'")


async def waits(database: Database, work: Coroutine[Any, Any, T]) -> "asyncio.Task[T]":
    """Starts the work, and returns it once one more of the database's sessions waits for a lock."""
    before = await _waiting(database)
    task = asyncio.create_task(work)
    while await _waiting(database) == before:
        assert not task.done(), "it did not wait"
        await asyncio.sleep(0.005)
    return task


async def _waiting(database: Database) -> int:
    async with database.store(FRAME).reading() as tx:
        return int((await tx._connection.execute(_LOCKED)).scalar_one())

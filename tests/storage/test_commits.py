"""Commits that take long."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, cast

import psycopg
import pytest
from sqlalchemy import text

from storage.database import Database
from storage.errors import StoreUnavailable
from storage.problems import ProblemKind
from storage.store import FRAME
from storage.time_limits import TimeLimits

SLOW = """
    CREATE TABLE slow (seconds float);
    CREATE FUNCTION sleep() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(NEW.seconds); RETURN NEW; END';
    CREATE CONSTRAINT TRIGGER sleep AFTER INSERT ON slow DEFERRABLE INITIALLY DEFERRED
      FOR EACH ROW EXECUTE FUNCTION sleep()
"""
"""A transaction that adds a row takes this many seconds to commit, like one that waits for a standby."""


@asynccontextmanager
async def opened(url: str, **limits: float) -> AsyncIterator[Database]:
    """A pool of two connections, one of which may have a commit without a caller."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(SLOW)
    database = Database(url, pool_size=2, limits=TimeLimits(**limits))
    try:
        yield database
    finally:
        await database.close()


async def add(database: Database, seconds: float) -> None:
    async with database.store(FRAME).transaction() as tx:
        await tx._connection.execute(text("INSERT INTO slow VALUES (:seconds)"), {"seconds": seconds})


async def count(database: Database) -> int:
    async with database.store(FRAME).reading() as tx:
        return int((await tx._connection.execute(text("SELECT count(*) FROM slow"))).scalar_one())


async def quiet(database: Database) -> None:
    """Returns once no commit waits any more."""
    async with asyncio.timeout(60):
        while database.commits_overdue or checked_out(database):  # noqa: ASYNC110 - it is told by nobody
            await asyncio.sleep(0.05)


def checked_out(database: Database) -> int:
    return int(cast(Any, database._pool._engine.pool).checkedout())


async def test_a_commit_that_takes_too_long_is_unknown_to_its_caller_and_continues(database_url: str) -> None:
    """The row exists in the end, and the connection is reused."""
    async with opened(database_url, answer=0.5) as database:
        with pytest.raises(StoreUnavailable) as raised:
            await add(database, 5)
        assert raised.value.problem.kind is ProblemKind.UNCONFIRMED
        assert await count(database) == 0
        assert database.commits_overdue
        assert checked_out(database) == 1
        await quiet(database)
        assert await count(database) == 1


async def test_while_commits_wait_no_more_start_and_readings_continue(database_url: str) -> None:
    """Otherwise each retry would use one more connection, until there are none."""
    async with opened(database_url, answer=0.5) as database:
        with pytest.raises(StoreUnavailable):
            await add(database, 5)
        with pytest.raises(StoreUnavailable, match="1 commits wait"):
            await add(database, 0)
        assert database.commits_overdue
        assert await count(database) == 0
        await quiet(database)
        await add(database, 0)
        assert await count(database) == 2


async def test_a_commit_whose_caller_is_cancelled_has_the_same_timeout(database_url: str) -> None:
    """The cancellation takes effect then, and the commit continues."""
    async with opened(database_url, answer=1.0) as database:
        adding = asyncio.create_task(add(database, 5))
        while not database.commits_overdue:  # noqa: ASYNC110 - it is told by nobody
            await asyncio.sleep(0.05)
        adding.cancel()
        with pytest.raises(asyncio.CancelledError):
            await adding
        assert await count(database) == 0
        await quiet(database)
        assert await count(database) == 1


async def test_closing_does_not_wait_for_a_commit_that_was_given_up(database_url: str) -> None:
    """A stopping server exits, whatever its database waits for."""
    async with opened(database_url, answer=0.5) as database:
        with pytest.raises(StoreUnavailable):
            await add(database, 300)
    with psycopg.connect(database_url) as connection:
        waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'PgSleep'"
        assert connection.execute(waiting).fetchone() == (1,)

"""What a transaction guarantees, against the real database."""

import asyncio
import gc
import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any, cast
from uuid import UUID

import pytest
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection

import migrations
from storage.commerce.store import COMMERCE
from storage.commits import Commits
from storage.database import Database
from storage.errors import AlreadyExists, StoreContention, StoreTimeout, StoreUnavailable
from storage.frame.records import Claim, RequestKey
from storage.identity.store import IDENTITY
from storage.store import FRAME, StoreKind
from storage.transaction import Reading, Transaction
from storage.url import sibling
from storage.webhooks.store import WEBHOOKS

KEY = RequestKey(UUID(int=1), UUID(int=2), b"digest")
INSERT = "INSERT INTO frame.request_ids (caller_id, request_id, digest) VALUES (:caller_id, :request_id, 'x')"
ROW = {"caller_id": KEY.caller_id, "request_id": KEY.request_id}


async def run(tx: Reading, statement: str, **values: object) -> Any:
    """Runs a statement that no repository has."""
    return await tx._connection.execute(text(statement), values)


async def run_alone(database: Database, *statements: str, **values: object) -> None:
    async with database.store(FRAME).transaction() as tx:
        for statement in statements:
            await run(tx, statement, **values)


async def count(database: Database) -> int:
    async with database.store(FRAME).reading() as tx:
        return int((await run(tx, "SELECT count(*) FROM frame.request_ids")).scalar_one())


@asynccontextmanager
async def opened(url: str, pool_size: int = 1) -> AsyncIterator[Database]:
    database = Database(url, pool_size=pool_size)
    try:
        yield database
    finally:
        await database.close()


async def test_a_transaction_commits_at_the_end_of_its_block(database: Database) -> None:
    """Other transactions see nothing before."""
    async with database.store(FRAME).transaction() as tx:
        await tx.requests.claim([Claim(KEY)])
        assert await count(database) == 0
    assert await count(database) == 1


async def test_a_block_that_raises_leaves_nothing_behind(database: Database) -> None:
    """Its error is raised unchanged."""

    class WrongError(Exception):
        pass

    async def fail() -> None:
        async with database.store(FRAME).transaction() as tx:
            await tx.requests.claim([Claim(KEY)])
            raise WrongError

    with pytest.raises(WrongError):
        await fail()
    assert await count(database) == 0


async def test_a_block_that_is_cancelled_leaves_nothing_behind(database: Database) -> None:
    """A caller that disconnects before the commit rolls its change back, and the connection is reusable."""
    reached = asyncio.Event()

    async def hang() -> None:
        async with database.store(FRAME).transaction() as tx:
            await tx.requests.claim([Claim(KEY)])
            reached.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(hang())
    await reached.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await count(database) == 0
    await run_alone(database, INSERT, **ROW)
    assert await count(database) == 1


class SlowCommit:
    """A connection whose commit ends on demand."""

    def __init__(self, error: Exception | None = None) -> None:
        self.may_end = asyncio.Event()
        self.ended = False
        self._error = error

    async def commit(self) -> None:
        await self.may_end.wait()
        self.ended = True
        if self._error:
            raise self._error


async def test_a_started_commit_is_waited_for_however_often_its_caller_is_cancelled() -> None:
    """Otherwise the row might exist without anyone knowing; the cancellation takes effect afterwards."""
    connection = SlowCommit()
    task = asyncio.create_task(Commits(60, max_waiting=1).commit(cast(AsyncConnection, connection)))
    for _ in range(3):
        await asyncio.sleep(0)
        task.cancel()
    await asyncio.sleep(0)
    assert not task.done()
    connection.may_end.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert connection.ended


async def test_a_commit_that_fails_raises_even_for_a_cancelled_caller() -> None:
    """The store's error takes precedence over the cancellation."""
    connection = SlowCommit(StoreUnavailable())
    task = asyncio.create_task(Commits(60, max_waiting=1).commit(cast(AsyncConnection, connection)))
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.sleep(0)
    connection.may_end.set()
    with pytest.raises(StoreUnavailable):
        await task


@pytest.mark.parametrize(
    ("kind", "names"),
    [
        (FRAME, ("audit", "requests", "events", "jobs", "inbox")),
        (COMMERCE, ("requests", "products", "stock", "orders", "payments")),
        (IDENTITY, ("requests", "accounts", "sessions", "keys")),
        (WEBHOOKS, ("requests", "endpoints", "deliveries", "relay")),
    ],
)
async def test_repositories_of_one_transaction_share_it(
    database: Database, kind: StoreKind[Reading, Transaction], names: Sequence[str]
) -> None:
    """Each is created once, and all of them use the one connection."""
    async with database.store(kind).transaction() as tx:
        assert all(getattr(tx, name) is getattr(tx, name) for name in names)
        assert {getattr(tx, name)._connection for name in names} == {tx._connection}


async def test_reading_opens_no_transaction(database: Database) -> None:
    """Each statement is separate, so a connection is never idle in a transaction."""
    async with database.store(FRAME).reading() as tx:
        await run(tx, INSERT, **ROW)
        assert await count(database) == 1
        one, two = [(await run(tx, "SELECT pg_current_xact_id()::text")).scalar_one() for _ in range(2)]
    assert one != two


async def test_a_violated_unique_key_is_named(database: Database) -> None:
    """By its constraint, from which a repository knows what it means."""
    await run_alone(database, INSERT, **ROW)
    with pytest.raises(AlreadyExists) as raised:
        await run_alone(database, INSERT, **ROW)
    assert raised.value.constraint == "pk_request_ids"


STATES = {
    "40001": StoreContention,
    "40P01": StoreContention,
    "55P03": StoreContention,
    "57014": StoreTimeout,
    "08006": StoreUnavailable,
    "25006": StoreUnavailable,
    "25P03": StoreUnavailable,
    "53300": StoreUnavailable,
    "57P03": StoreUnavailable,
    "58030": StoreUnavailable,
    "23514": SQLAlchemyError,
    "42P01": SQLAlchemyError,
    "XX000": SQLAlchemyError,
}


async def test_the_drivers_errors_become_the_stores(database: Database) -> None:
    """By their SQLSTATE; a defect is raised unchanged."""
    for state, kind in STATES.items():
        with pytest.raises(kind):
            await run_alone(database, f"DO $$ BEGIN RAISE EXCEPTION '' USING ERRCODE = '{state}'; END $$")


async def test_a_slow_statement_is_a_timeout(database: Database) -> None:
    """It left nothing behind, and the connection is reused."""
    with pytest.raises(StoreTimeout):
        await run_alone(database, "SET LOCAL statement_timeout = 20", "SELECT pg_sleep(5)")
    assert await count(database) == 0


async def test_an_unavailable_lock_is_contention(database: Database) -> None:
    """It may be retried."""
    async with database.store(FRAME).transaction() as tx:
        await tx.requests.claim([Claim(KEY)])
        with pytest.raises(StoreContention):
            await run_alone(database, "SET LOCAL lock_timeout = 20", INSERT, **ROW)


async def test_of_two_deadlocked_transactions_one_is_contention(database: Database) -> None:
    """The other one continues."""
    both_hold_one = asyncio.Barrier(2)

    async def lock(first: int, second: int) -> None:
        async with database.store(FRAME).transaction() as tx:
            await run(tx, "SET LOCAL deadlock_timeout = 20")
            await run(tx, f"SELECT pg_advisory_xact_lock({first})")
            await both_hold_one.wait()
            await run(tx, f"SELECT pg_advisory_xact_lock({second})")

    outcomes = await asyncio.gather(lock(1, 2), lock(2, 1), return_exceptions=True)
    assert [type(outcome) for outcome in outcomes if outcome] == [StoreContention]


async def test_a_lost_connection_is_an_outage_and_the_next_one_works(database_url: str) -> None:
    """Only the caller that was using it gets the error."""
    async with opened(database_url) as database, opened(database_url) as other:
        with pytest.raises(StoreUnavailable):
            await _lose_connection(database, other)
        assert await count(database) == 0


async def _lose_connection(database: Database, other: Database) -> None:
    async with database.store(FRAME).transaction() as tx:
        pid = (await run(tx, "SELECT pg_backend_pid()")).scalar_one()
        await run_alone(other, "SELECT pg_terminate_backend(:pid)", pid=pid)
        await tx.requests.claim([Claim(KEY)])


async def test_readers_that_are_cancelled_at_any_moment_leave_the_pool_intact(
    database_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A connection that one was waiting for is released, and no later one gets it half set up."""
    async with opened(database_url, pool_size=4) as database:

        async def look() -> None:
            async with database.store(FRAME).reading() as tx:
                await run(tx, "SELECT 1")

        await look()
        for turn in range(150):
            readers = [asyncio.create_task(look()) for _ in range(8)]
            await asyncio.sleep(turn / 50_000)
            for reader in readers:
                reader.cancel()
            await asyncio.gather(*readers, return_exceptions=True)
        gc.collect()
        with suppress(ZeroDivisionError):
            async with database.store(FRAME).transaction() as tx:
                await run(tx, INSERT, **ROW)
                _ = 1 / 0
        assert await count(database) == 0
        assert cast(Any, database._pool._engine.pool).checkedout() == 0
    assert caplog.records == []


async def test_closing_leaves_no_connection_open(database: Database, database_url: str) -> None:
    """Not even one in use, with a pending response or without: its session ends, and its users get an error."""
    name, ready = "closed-meanwhile", asyncio.Event()
    closed = Database(database_url, application_name=name)

    async def wait() -> None:
        async with closed.store(FRAME).transaction() as tx:
            await run(tx, "SELECT 1")
            ready.set()
            await run(tx, "SELECT pg_sleep(10)")

    async def close_meanwhile() -> None:
        async with closed.store(FRAME).reading() as reading:
            await run(reading, "SELECT 1")
            await ready.wait()
            await closed.close()

    outcomes = await asyncio.gather(wait(), close_meanwhile(), return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [StoreUnavailable, StoreUnavailable]
    gc.collect()  # the driver warns of a connection that is still open then, which fails this test
    async with database.store(FRAME).reading() as reading:
        sessions = "SELECT count(*) FROM pg_stat_activity WHERE application_name = :name"
        async with asyncio.timeout(30):
            while (await run(reading, sessions, name=name)).scalar_one():  # noqa: ASYNC110 - PostgreSQL tells nobody
                await asyncio.sleep(0.05)


async def test_an_exhausted_pool_is_an_outage(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A caller that waits too long gets the error, and the next finds the connection returned."""
    async with opened(database_url) as database:
        monkeypatch.setattr(database._pool._engine.sync_engine.pool, "_timeout", 0.02)
        async with database.store(FRAME).transaction():
            with pytest.raises(StoreUnavailable):
                await count(database)
        assert await count(database) == 0


@pytest.mark.parametrize("url", ["postgresql://127.0.0.1:1/none", "postgresql:///none?host=/nowhere"])
async def test_an_unreachable_database_is_an_outage(url: str) -> None:
    """Neither a refused connection nor a missing socket raises the driver's own error."""
    async with opened(url) as database:
        with pytest.raises(StoreUnavailable):
            await database.revision()
        with pytest.raises(StoreUnavailable):
            await run_alone(database, "SELECT 1")


async def test_no_error_contains_values_of_a_row(database: Database) -> None:
    """Its text may end up in a log."""
    with pytest.raises(SQLAlchemyError) as raised:
        await run_alone(database, "SELECT :secret FROM nowhere", secret="s3cret")
    assert "s3cret" not in str(raised.value)


async def test_every_connection_has_its_limits(database: Database) -> None:
    """None of our statements, locks or idle transactions lasts forever, and our sessions have a name."""
    names = ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout", "application_name")
    async with database.store(FRAME).transaction() as tx:
        found = [(await run(tx, f"SHOW {name}")).scalar_one() for name in names]
    assert found == ["20s", "10s", "30s", "backroom"]


async def test_a_database_reports_its_migration(database: Database, postgres: str) -> None:
    """The newest, or none if none was ever applied."""
    assert await database.revision() == migrations.head()
    assert re.fullmatch(r"\d{4}", migrations.head())
    async with opened(sibling(postgres, "postgres")) as bare:
        assert await bare.revision() is None


async def test_several_queries_can_share_a_snapshot(database: Database) -> None:
    """Commits in between are not seen, and nothing can be changed."""
    counting = "SELECT count(*) FROM frame.request_ids"
    async with database.store(FRAME).snapshot_reading() as tx:
        before = (await run(tx, counting)).scalar_one()
        await run_alone(database, INSERT, **ROW)
        assert (await run(tx, counting)).scalar_one() == before == 0
        with pytest.raises(SQLAlchemyError, match="read-only"):
            await run(tx, "DELETE FROM frame.request_ids")
    assert await count(database) == 1

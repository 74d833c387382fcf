"""Behind a pooler one setting is needed; without it, one line says so."""

import asyncio
from contextlib import AsyncExitStack
from functools import partial

import psycopg
import pytest
from prometheus_client import CollectorRegistry
from sqlalchemy import text

from server.frame import jobs as frame_jobs
from server.frame.jobs import Task, Worker
from storage.database import Database
from storage.errors import StoreTimeout, StoreUnavailable
from storage.limits import LIMITS, set_role_limits
from storage.pooler import Pooler
from storage.problems import ProblemKind
from storage.store import FRAME
from storage.transaction import Transaction
from tests.cli.test_doctor import row
from tests.faults.load import until
from tests.fixtures.keys import MASTER_KEY
from tests.fixtures.pgbouncer import PgBouncer, pgbouncer
from tests.frame.test_jobs import Diary, Log, deferred, working
from tests.process.commands import Finished, backroom, backroom_here

FREE = {"BACKROOM_GRPC_ADDRESS": "127.0.0.1:0", "BACKROOM_HTTP_ADDRESS": "127.0.0.1:0"}
WITHOUT_THE_SETTING = (
    "backroom: DATABASE_URL: a connection pooler is between Backroom and PostgreSQL;"
    " set BACKROOM_DATABASE_POOLER to its pool mode, transaction or session\n"
)


async def shown(tx: Transaction, name: str) -> str:
    return str((await tx._connection.execute(text(f"SHOW {name}"))).scalar_one())


async def limits_of(database: Database) -> dict[str, str]:
    async with database.store(FRAME).transaction() as tx:
        return {name: await shown(tx, name) for name in LIMITS}


async def problem(url: str, pooler: Pooler) -> ProblemKind:
    database = Database(url, pooler=pooler, pool_size=1)
    try:
        with pytest.raises(StoreUnavailable) as raised:
            await database.revision()
    finally:
        await database.close()
    return raised.value.problem.kind


def migrate(capsys: pytest.CaptureFixture[str], url: str, **settings: str) -> None:
    given = {"DATABASE_URL": url, "BACKROOM_DATABASE_POOLER": "transaction", **settings}
    finished = backroom_here(capsys, "migrate", **given)
    assert (finished.code, finished.err) == (0, "")


@pytest.mark.parametrize("command", [["serve"], ["serve", "--workers", "2"], ["worker"], ["jobs"], ["verify"]])
async def test_without_the_setting_each_command_says_what_to_set(
    bouncer: PgBouncer, direct_url: str, command: list[str]
) -> None:
    """In one line, before anything is served."""
    given = {"DATABASE_URL": bouncer.url(direct_url), "BACKROOM_MASTER_KEY": MASTER_KEY, **FREE}
    finished = await backroom(*command, **given, BACKROOM_PAYMENT_PROVIDER="none")
    assert (finished.code, finished.out) == (1, "")
    assert finished.err.endswith(WITHOUT_THE_SETTING)
    assert "Traceback" not in finished.err


async def test_the_doctor_detects_the_pooler(
    bouncer: PgBouncer, direct_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without the setting it is broken; with it, and migrated, all is fine, except a direct URL through the pooler."""
    url = bouncer.url(direct_url)
    given = {"DATABASE_URL": url, "BACKROOM_MASTER_KEY": MASTER_KEY, "COLUMNS": "400"}
    given |= {"BACKROOM_GRPC_ADDRESS": "127.0.0.1:1", "BACKROOM_HTTP_ADDRESS": "127.0.0.1:1"}

    async def doctor(**settings: str) -> Finished:
        return await asyncio.to_thread(backroom_here, capsys, "doctor", **given, **settings)

    finished = await doctor()
    assert finished.code == 1
    assert "set BACKROOM_DATABASE_POOLER to its pool mode" in row(finished, "pooler")
    await asyncio.to_thread(migrate, capsys, url)
    finished = await doctor(BACKROOM_DATABASE_POOLER="transaction")
    assert (finished.code, finished.err) == (0, "")
    assert "in transaction mode" in row(finished, "pooler")
    assert row(finished, "time limits").startswith("✓")
    finished = await doctor(BACKROOM_DATABASE_POOLER="transaction", BACKROOM_DIRECT_DATABASE_URL=url)
    assert finished.code == 1
    assert "leads through a pooler" in row(finished, "the direct way")


async def test_missing_limits_are_reported_before_anything_is_done(bouncer: PgBouncer, direct_url: str) -> None:
    """The line says to migrate."""
    assert await problem(bouncer.url(direct_url), Pooler.TRANSACTION) is ProblemKind.LIMITS


async def test_a_migrated_database_has_its_limits_on_every_connection(
    bouncer: PgBouncer, direct_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """With more clients than it has connections, in concurrent transactions."""
    url = bouncer.url(direct_url)
    await asyncio.to_thread(migrate, capsys, url)
    async with AsyncExitStack() as stack:
        databases = [Database(url, pooler=Pooler.TRANSACTION, pool_size=2) for _ in range(12)]
        for database in databases:
            stack.push_async_callback(database.close)
        found = await asyncio.gather(*(limits_of(database) for database in databases for _ in range(2)))
    assert found == [dict(LIMITS)] * 24
    assert len(bouncer.console("SHOW SERVERS")) > 1


async def test_a_slow_statement_times_out_behind_it(bouncer: PgBouncer, direct_url: str) -> None:
    """By the role's own limit, here a shorter one."""
    with psycopg.connect(direct_url, autocommit=True) as connection:
        set_role_limits(connection)
        name = connection.info.dbname
        connection.execute(f"ALTER ROLE SESSION_USER IN DATABASE {name} SET statement_timeout = '200ms'")
    database = Database(bouncer.url(direct_url), pooler=Pooler.TRANSACTION)
    with pytest.raises(StoreTimeout):
        async with database.store(FRAME).reading() as tx:
            await tx._connection.execute(text("SELECT pg_sleep(30)"))
    await database.close()


async def test_an_older_connection_of_the_pooler_gets_the_limits(bouncer: PgBouncer, direct_url: str) -> None:
    """It was opened before the database was migrated, and is reused."""
    url = bouncer.url(direct_url)
    with psycopg.connect(url, autocommit=True, prepare_threshold=None) as early:
        (pid,) = early.execute("SELECT pg_backend_pid()").fetchone() or ()
        with psycopg.connect(direct_url, autocommit=True) as connection:
            set_role_limits(connection)
        database = Database(url, pooler=Pooler.TRANSACTION, pool_size=1)
        async with database.store(FRAME).transaction() as tx:
            assert (await tx._connection.execute(text("SELECT pg_backend_pid()"))).scalar_one() == pid
            assert {name: await shown(tx, name) for name in LIMITS} == LIMITS
        await database.close()


async def test_a_statement_whose_caller_has_gone_ends_in_postgresql_too(bouncer: PgBouncer, direct_url: str) -> None:
    """And the next one has a connection."""
    with psycopg.connect(direct_url, autocommit=True) as connection:
        set_role_limits(connection)
        sleeping = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND query ~ 'pg_sleep.30.'"
        sleeping += " AND state = 'active' AND pid <> pg_backend_pid()"
        database = Database(bouncer.url(direct_url), pooler=Pooler.TRANSACTION, pool_size=1)

        async def sleep() -> None:
            async with database.store(FRAME).reading() as tx:
                await tx._connection.execute(text("SELECT pg_sleep(30)"))

        def count() -> int:
            (found,) = connection.execute(sleeping).fetchone() or ()
            return int(found)

        task = asyncio.create_task(sleep())
        await until(lambda: count() == 1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await until(lambda: count() == 0)
        assert await database.revision() is not None
        await database.close()


async def test_in_session_mode_the_limits_apply_too(postgres: str, direct_url: str) -> None:
    """Although no options may be sent at the start of a connection; a wrong mode is reported."""
    with pgbouncer(postgres, pool_mode="session") as other:
        url = other.url(direct_url)
        assert await problem(url, Pooler.NONE) is ProblemKind.POOLER
        database = Database(url, pooler=Pooler.SESSION, pool_size=1)
        assert await limits_of(database) == LIMITS
        await database.close()


async def test_prepared_statements_in_a_wrong_mode_are_reported(bouncer: PgBouncer, direct_url: str) -> None:
    """If the setting is session and the mode is transaction."""
    databases = [Database(bouncer.url(direct_url), pooler=Pooler.SESSION, pool_size=1) for _ in range(4)]

    async def ask(database: Database) -> None:
        for _ in range(20):
            await database.revision()

    found = await asyncio.gather(*map(ask, databases), return_exceptions=True)
    kinds = {each.problem.kind for each in found if isinstance(each, StoreUnavailable)}
    assert kinds == {ProblemKind.POOLER}
    for database in databases:
        await database.close()


async def test_a_migration_uses_the_direct_url_and_the_limits_apply_to_the_serving_role(
    bouncer: PgBouncer, direct_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Two roles: one that owns the database, and one that makes the calls."""
    await asyncio.to_thread(migrate, capsys, bouncer.url(direct_url), BACKROOM_DIRECT_DATABASE_URL=direct_url)
    database = Database(bouncer.url(direct_url), pooler=Pooler.TRANSACTION)
    assert await limits_of(database) == LIMITS
    await database.close()


_LISTENING = """
    SELECT EXISTS (
        SELECT FROM pg_stat_activity WHERE datname = current_database() AND query ILIKE 'LISTEN%procrastinate%'
    )
"""


@pytest.mark.parametrize("directly", [True, False])
async def test_new_jobs_are_found_behind_it(
    bouncer: PgBouncer, direct_url: str, directly: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By LISTEN on the direct URL, without polling; by polling without such a URL."""
    with psycopg.connect(direct_url, autocommit=True) as connection:
        set_role_limits(connection)
    monkeypatch.setattr(frame_jobs, "_POLL_SECONDS", 600.0 if directly else 0.2)
    diary, log, url = Diary(), Log(), bouncer.url(direct_url)
    database = Database(url, pooler=Pooler.TRANSACTION)
    worker = Worker(
        *(url, [Task("test.write", diary.run)], log.logger, CollectorRegistry()),
        pooler=Pooler.TRANSACTION,
        direct_url=direct_url if directly else None,
    )

    def done(wanted: int) -> bool:
        return len(diary.done) == wanted

    def listens() -> bool:
        """A job that comes between the worker's first look and its LISTEN waits for the next poll."""
        with psycopg.connect(direct_url) as connection:
            return bool(connection.execute(_LISTENING).fetchone() == (True,))

    async with working(worker):
        await until(lambda: listens() or not directly)
        await deferred(database, "before")
        await until(lambda: diary.done == ["before"])
        for number in range(2, 10):
            await deferred(database, str(number))
            await until(partial(done, number))
    await database.close()
    assert {line["level"] for line in log.lines} <= {"info", "debug"}

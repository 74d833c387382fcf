"""No commit is confirmed by the synchronous standby: no change that a promotion may undo is answered as done."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from prometheus_client import CollectorRegistry
from sqlalchemy import event, text

from server.frame.answers import AnswerKind
from server.frame.jobs import Task, Worker
from server.frame.repeating import find_answer
from storage.database import Database
from storage.errors import StoreUnavailable
from storage.frame.records import ChangeContext, Claim, Job, RequestKey
from storage.limits import set_role_limits
from storage.pooler import Pooler
from storage.problems import ProblemKind
from storage.store import FRAME
from storage.url import parameters, sibling
from tests.cli.test_doctor import row
from tests.cli.test_doctor_database import doctor
from tests.faults.cluster import Cluster
from tests.faults.unconfirmed import SETTLED_SECONDS, cancel, held_up, terminate, unconfirmed, waits
from tests.fixtures.keys import MASTER_KEYS
from tests.fixtures.pgbouncer import NOT_INSTALLED, PROGRAM, pgbouncer
from tests.fixtures.servers import running
from tests.frame.test_jobs import Diary, Log
from tests.identity.records import auditing_on, entry, recorded
from tests.webhooks.http import Post, sent
from tests.webhooks.senders import NOW, SOURCES, standard

SHORT = ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout")
KEY = RequestKey(UUID(int=1), UUID(int=7), b"content".ljust(32))
ASK = ChangeContext(KEY.caller_id, "test/Write", NOW, key=KEY)


@pytest.fixture(params=[Pooler.NONE, Pooler.TRANSACTION])
async def either(request: pytest.FixtureRequest, cluster: Cluster, database_url: str) -> AsyncIterator[Database]:
    """Directly, and through a pooler, where PostgreSQL's own default shows no warning."""
    url = database_url
    name = parameters(url)["dbname"]
    with psycopg.connect(url, autocommit=True) as connection:
        set_role_limits(connection)
        connection.execute(f"ALTER DATABASE {name} SET client_min_messages = 'error'")
    with _way(cluster, request.param) as behind:
        way = sibling(behind, name)
        database = Database(way, audit_key=MASTER_KEYS.audit_key, pooler=request.param)
        yield database
        await database.close()


@contextmanager
def _way(cluster: Cluster, pooler: Pooler) -> Iterator[str]:
    if pooler is Pooler.NONE:
        yield cluster.url
        return
    if PROGRAM is None:
        pytest.skip(NOT_INSTALLED)
    with pgbouncer(cluster.url) as bouncer:
        yield bouncer.url(cluster.url)


async def claimed(database: Database, *, short: bool = False) -> None:
    """A new request, and its answer."""
    async with database.store(FRAME).transaction() as tx:
        for name in SHORT if short else ():
            await tx._connection.execute(text(f"SET LOCAL {name} = '200ms'"))
        await tx.requests.claim([Claim(KEY, '"an answer"')])


async def found(database: Database) -> str | None:
    """The same, looked up before anything is done."""
    return await find_answer(database.store(FRAME), ASK, AnswerKind("test.word", str))


async def test_no_timeout_ends_the_wait_of_a_commit(either: Database, cluster: Cluster) -> None:
    """They apply until the commit begins; its caller waits until it is confirmed."""
    async with unconfirmed(cluster.url):
        commit = asyncio.ensure_future(claimed(either, short=True))
        await held_up(cluster.url, commit)
        await asyncio.wait({commit}, timeout=1.5)
        assert not commit.done()
    await commit
    assert await found(either) == "an answer"


async def test_a_commit_whose_wait_is_cancelled_is_unknown(either: Database, cluster: Cluster) -> None:
    """Whether it wrote something, found what was written before, or only looked that up."""
    async with unconfirmed(cluster.url):
        for work in (claimed, claimed, found):
            call = asyncio.ensure_future(work(either))
            await held_up(cluster.url, call)
            cancel(cluster.url, await waits(cluster.url))
            with pytest.raises(StoreUnavailable, match="not confirmed by the synchronous standby") as raised:
                await call
            assert raised.value.problem.kind is ProblemKind.UNCONFIRMED
    assert await found(either) == "an answer"


async def test_a_session_that_ends_while_its_commit_waits_leaves_it_unknown(either: Database, cluster: Cluster) -> None:
    """Like any lost connection."""
    async with unconfirmed(cluster.url):
        for work in (claimed, claimed, found):
            call = asyncio.ensure_future(work(either))
            await held_up(cluster.url, call)
            terminate(cluster.url, await waits(cluster.url))
            with pytest.raises(StoreUnavailable):
                await call


async def test_a_lookup_that_finds_nothing_does_not_wait(database: Database, cluster: Cluster) -> None:
    """Nor does any other read."""
    async with unconfirmed(cluster.url):
        assert await found(database) is None
        async with database.store(FRAME).transaction() as tx:
            assert await tx.requests.find(KEY.scope) is None


async def test_the_doctor_says_which_standby_commits_wait_for(
    database_url: str, cluster: Cluster, capsys: pytest.CaptureFixture[str]
) -> None:
    """And if a role's own setting makes them wait for none."""
    name = parameters(database_url)["dbname"]
    async with unconfirmed(cluster.url):
        found = row(await doctor(capsys, database_url), "commits")
        assert "wait for the disk and a standby, by synchronous_standby_names = absent" in found
        with psycopg.connect(cluster.url, autocommit=True, options="-c synchronous_commit=local") as connection:
            connection.execute(f"ALTER DATABASE {name} SET synchronous_commit = 'local'")
        found = row(await doctor(capsys, database_url), "commits")
        assert "wait for the disk alone, since synchronous_commit is local" in found


async def test_without_a_standby_a_repetition_costs_nothing_more(database: Database) -> None:
    """Two statements, and nothing in PostgreSQL's WAL; a mere lookup is one statement."""
    await claimed(database)
    with _statements(database) as statements:
        async with database.store(FRAME).transaction() as tx:
            await tx.requests.claim([Claim(KEY)])
        assert len(statements) == 2
        assert await found(database) == "an answer"
        assert len(statements) == 3
    assert 0 in [await _logged(database) for _ in range(20)]  # others write to the WAL, too


@contextmanager
def _statements(database: Database) -> Iterator[list[str]]:
    sent: list[str] = []

    def keep(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        sent.append(statement)

    engine = database._pool._engine.sync_engine
    event.listen(engine, "before_cursor_execute", keep)
    yield sent
    event.remove(engine, "before_cursor_execute", keep)


async def _logged(database: Database) -> int:
    """How many bytes a repetition writes to PostgreSQL's WAL."""
    end = text("SELECT pg_current_wal_insert_lsn() - '0/0'")
    async with database.store(FRAME).reading() as tx:
        before = (await tx._connection.execute(end)).scalar_one()
        async with database.store(FRAME).transaction() as other:
            await other.requests.claim([Claim(KEY)])
        return int((await tx._connection.execute(end)).scalar_one() - before)


async def test_a_repeated_webhook_is_answered_once_it_is_confirmed(database: Database, cluster: Cluster) -> None:
    """Its sender forgets it then; until then, the sender is told to retry."""
    async with running(database, sources=SOURCES, now=lambda: NOW) as server:
        post = Post("billing", standard(b"{}", event_id=f"evt_{uuid4().hex}"))
        assert (await sent(server.server.http_port, post)).status == 204
        async with unconfirmed(cluster.url):
            again = asyncio.ensure_future(sent(server.server.http_port, post))
            await held_up(cluster.url, again)
            cancel(cluster.url, await waits(cluster.url))
            assert (await again).status == 503
            again = asyncio.ensure_future(sent(server.server.http_port, post))
            await held_up(cluster.url, again)
        assert (await again).status == 204


async def test_a_job_starts_once_its_fetch_is_confirmed(
    database: Database, database_url: str, cluster: Cluster
) -> None:
    """No promotion undoes its external effects; fetching it waits for everything before."""
    diary, log = Diary(), Log()
    task = Task("test.write", diary.run)
    worker = Worker(
        database_url, [task], log.logger, CollectorRegistry(), heartbeat_seconds=0.5, stalled_after_seconds=2.0
    )
    worker.start()
    try:
        await _deferred(database, "first")
        await _done(diary, ["first"])
        async with unconfirmed(cluster.url):
            deferring = asyncio.ensure_future(_deferred(database, "second"))
            end = time.monotonic() + 6
            while time.monotonic() < end:  # all waiting commits are cancelled repeatedly
                cancel(cluster.url, await waits(cluster.url))
                await asyncio.sleep(0.1)
            assert diary.done == ["first"]
            with pytest.raises(StoreUnavailable):
                await deferring
        await _done(diary, ["first", "second"])
    finally:
        await worker.stop()


async def _deferred(database: Database, name: str) -> None:
    async with database.store(FRAME).transaction() as tx:
        await tx.jobs.defer([Job("test.write", {"name": name})])


async def _done(diary: Diary, names: list[str]) -> None:
    async with asyncio.timeout(60):
        while diary.done != names:  # noqa: ASYNC110 - it is told by nobody
            await asyncio.sleep(0.05)


async def test_the_end_of_the_record_is_anchored_once_it_is_confirmed(database: Database, cluster: Cluster) -> None:
    """An external file keeps it forever, and would report what a promotion undid as missing."""
    kept: list[int] = []

    async def keep(anchor: Any, _now: Any) -> None:
        kept.append(anchor.position)

    await recorded(database, entry(1))
    auditing = auditing_on(database, keep_anchor=keep)
    assert await auditing.seal() == 1
    async with unconfirmed(cluster.url):
        anchoring = asyncio.ensure_future(auditing.anchor())
        await held_up(cluster.url, anchoring)
        await asyncio.sleep(SETTLED_SECONDS)
        assert kept == []
    assert await anchoring
    assert kept == [1]

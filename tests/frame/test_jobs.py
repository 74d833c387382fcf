"""Background jobs: run once their transaction has committed, and retried until they succeed, whichever process dies."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any

import psycopg
import pytest
import structlog
from procrastinate import PsycopgConnector
from prometheus_client import CollectorRegistry

from server.frame import jobs as frame_jobs
from server.frame.jobs import Task, Worker
from server.frame.outages import UNANSWERED
from storage.database import Database
from storage.errors import StoreUnavailable
from storage.frame.records import Job, JobState
from storage.pooler import Pooler
from storage.store import FRAME
from storage.url import parameters
from tests.faults.load import until
from tests.fixtures.pgbouncer import POOLER
from tests.fixtures.servers import keep_in

CANARY = "canary-of-a-job"


class Diary:
    """A task that records its arguments, and fails as long as it is told to."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self.begun = asyncio.Event()
        self.fails = 0
        self.waits: asyncio.Event | None = None

    async def run(self, name: str) -> None:
        self.begun.set()
        if self.waits is not None:
            await self.waits.wait()
        if self.fails:
            self.fails -= 1
            raise RuntimeError(CANARY)
        self.done.append(name)


class Log:
    """The collected log lines."""

    def __init__(self) -> None:
        self.lines: list[dict[str, Any]] = []
        processors = [keep_in(self.lines)]
        self.logger = structlog.wrap_logger(None, processors, structlog.make_filtering_bound_logger(0))

    def of(self, task: str) -> list[dict[str, Any]]:
        return [line for line in self.lines if line.get("task") == task]


@pytest.fixture
def diary() -> Diary:
    return Diary()


@pytest.fixture
def log() -> Log:
    return Log()


def worker_of(url: str, log: Log, *tasks: Task, **rest: Any) -> Worker:
    return Worker(url, tasks, log.logger, CollectorRegistry(), pooler=POOLER, **rest)


@asynccontextmanager
async def working(worker: Worker) -> AsyncIterator[None]:
    worker.start()
    try:
        yield
    finally:
        await worker.stop()


async def deferred(database: Database, *names: str, **rest: Any) -> None:
    async with database.store(FRAME).transaction() as tx:
        await tx.jobs.defer([Job("test.write", {"name": name}, **rest) for name in names])


async def until_there(ask: Callable[[], Awaitable[None]]) -> None:
    """Retries until the database responds: a pooler may return a connection that has just been closed."""
    async with asyncio.timeout(60):
        while True:
            try:
                return await ask()
            except StoreUnavailable:
                await asyncio.sleep(0.05)


async def undone(database: Database) -> Sequence[tuple[str, JobState]]:
    async with database.store(FRAME).reading() as tx:
        jobs = await tx.jobs.list_undone(100)
    return [(str(job.args["name"]), job.state) for job in jobs if "name" in job.args]  # not the worker's own


async def test_a_job_runs_if_and_only_if_its_transaction_commits(
    database: Database, database_url: str, diary: Diary, log: Log
) -> None:
    """The queue is the outbox: a rollback removes the job, and so does its success."""
    with suppress(ZeroDivisionError):
        async with database.store(FRAME).transaction() as tx:
            await tx.jobs.defer([Job("test.write", {"name": "rolled back"})])
            raise ZeroDivisionError
    await deferred(database, "one", "two")
    await worker_of(database_url, log, Task("test.write", diary.run)).run_due()
    assert sorted(diary.done) == ["one", "two"]
    assert await undone(database) == []
    assert [line["outcome"] for line in log.of("test.write")] == ["done", "done"]


@pytest.mark.skipif(POOLER is Pooler.TRANSACTION, reason="there is no session to listen on: see tests/pooler")
async def test_a_running_worker_is_notified_of_a_new_job(
    database: Database, database_url: str, diary: Diary, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It does not wait for its next poll of the queue."""
    monkeypatch.setattr(frame_jobs, "_POLL_SECONDS", 600.0)
    async with working(worker_of(database_url, log, Task("test.write", diary.run))):
        await deferred(database, "before")
        await until(lambda: diary.done == ["before"])
        await deferred(database, "while it waits")
        await until(lambda: len(diary.done) == 2)


async def test_a_failed_job_is_retried_and_its_error_text_is_never_shown(
    database: Database, database_url: str, diary: Diary, log: Log
) -> None:
    """The log has the error's type and place; the text may quote a payload."""
    diary.fails = 1
    await deferred(database, "one")
    async with working(worker_of(database_url, log, Task("test.write", diary.run))):
        await until(lambda: diary.done == ["one"])
    first, second = log.of("test.write")
    assert (first["outcome"], first["attempt"], second["outcome"], second["attempt"]) == ("failed", 1, "done", 2)
    assert first["fault"].startswith("RuntimeError at tests/frame/test_jobs.py")
    assert CANARY not in str(log.lines)


async def test_a_job_whose_connection_to_the_queue_is_cut_is_an_outage_and_not_its_own_error(
    database: Database, database_url: str, diary: Diary, log: Log
) -> None:
    """The queue raises its own error where the store would report that the database is unreachable."""

    async def lose(name: str) -> None:
        if not diary.done:
            diary.done.append(name)
            queue = PsycopgConnector(conninfo=database_url)
            await queue.open_async()
            try:
                await queue.execute_query_async("SELECT pg_terminate_backend(pg_backend_pid())")
            finally:
                await queue.close_async()

    await deferred(database, "one")
    async with working(worker_of(database_url, log, Task("test.write", lose))):
        await until(lambda: len(log.of("test.write")) == 2)
    first, second = log.of("test.write")
    assert (first["outcome"], first["fault"], second["outcome"]) == ("failed", UNANSWERED, "done")
    assert [line["event"] for line in log.lines if line["level"] not in ("info", "debug")] == ["jobs_interrupted"]


async def test_a_job_that_keeps_failing_waits_for_a_person(
    database: Database, database_url: str, diary: Diary, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is listed as failed and not retried until an operator puts it back."""
    monkeypatch.setattr(frame_jobs, "MAX_TRIES", 1)
    diary.fails = 1
    await deferred(database, "one")
    worker = worker_of(database_url, log, Task("test.write", diary.run))
    await worker.run_due()
    assert await undone(database) == [("one", JobState.FAILED)]
    async with database.store(FRAME).transaction() as tx:
        [job] = [job for job in await tx.jobs.list_undone(10) if "name" in job.args]
        assert await tx.jobs.retry(job.id)
        assert not await tx.jobs.retry(job.id)
    await worker.run_due()
    assert (diary.done, await undone(database)) == (["one"], [])


async def test_a_job_is_done_only_once_what_it_found_is_confirmed(
    database: Database, database_url: str, diary: Diary, log: Log
) -> None:
    """Otherwise it stays in the queue, and runs again: a promotion may undo what it found done already."""
    kept: list[list[tuple[str, JobState]]] = []

    @asynccontextmanager
    async def confirmed() -> AsyncIterator[None]:
        yield
        kept.append(list(await undone(database)))
        if len(kept) == 1:
            raise StoreUnavailable

    await deferred(database, "one")
    async with working(worker_of(database_url, log, Task("test.write", diary.run), confirmed=confirmed)):
        await until(lambda: len(log.of("test.write")) == 2)
    assert diary.done == ["one", "one"]
    assert kept == [[("one", JobState.RUNNING)]] * 2
    assert [line["outcome"] for line in log.of("test.write")] == ["failed", "done"]
    assert await undone(database) == []


async def test_jobs_of_one_lock_run_one_after_the_other(
    database: Database, database_url: str, diary: Diary, log: Log
) -> None:
    """In their order, while other jobs overtake them."""
    diary.waits = asyncio.Event()
    other = Diary()
    await deferred(database, "first", "second", lock="a payment")
    async with database.store(FRAME).transaction() as tx:
        await tx.jobs.defer([Job("test.other", {"name": "free"})])
    async with working(worker_of(database_url, log, Task("test.write", diary.run), Task("test.other", other.run))):
        await until(lambda: other.done == ["free"])
        states = dict(await undone(database))
        assert (states["first"], states["second"]) == (JobState.RUNNING, JobState.WAITING)
        diary.waits.set()
        await until(lambda: diary.done == ["first", "second"])


async def test_a_periodic_task_runs_on_schedule_and_one_failure_does_not_end_it(database_url: str, log: Log) -> None:
    """Two workers together run it once each time."""
    runs: list[int] = []

    async def run() -> None:
        runs.append(len(runs))
        if len(runs) == 1:
            raise RuntimeError(CANARY)

    task = Task("test.tick", run, every="* * * * * *")
    async with working(worker_of(database_url, log, task)), working(worker_of(database_url, log, task)):
        await until(lambda: len(runs) >= 3)
    assert [line["outcome"] for line in log.of("test.tick")[:2]] == ["failed", "done"]
    assert CANARY not in str(log.lines)
    with psycopg.connect(database_url) as connection:
        left = connection.execute("SELECT count(*) FROM procrastinate_jobs WHERE status = 'failed'").fetchone()
    assert left == (0,)


async def test_a_dead_workers_jobs_are_taken_over_by_another(
    database: Database, database_url: str, diary: Diary, log: Log
) -> None:
    """Its heartbeat shows that it is dead; no operator has to put the job back."""
    await deferred(database, "orphan")
    with psycopg.connect(database_url) as connection:
        connection.execute("INSERT INTO procrastinate_workers (last_heartbeat) VALUES (now() - interval '1 minute')")
        connection.execute(
            "UPDATE procrastinate_jobs SET status = 'doing', worker_id = (SELECT max(id) FROM procrastinate_workers)"
        )
    async with working(
        worker_of(database_url, log, Task("test.write", diary.run), heartbeat_seconds=0.2, stalled_after_seconds=1.0)
    ):
        await until(lambda: diary.done == ["orphan"])


async def test_stopping_waits_for_the_running_job(
    database: Database, database_url: str, diary: Diary, log: Log
) -> None:
    """No other job starts."""
    diary.waits = asyncio.Event()
    await deferred(database, "under way")
    worker = worker_of(database_url, log, Task("test.write", diary.run))
    worker.start()
    await until(diary.begun.is_set)
    stopping = asyncio.create_task(worker.stop())
    await asyncio.sleep(0)
    assert not stopping.done()
    diary.waits.set()
    await stopping
    await deferred(database, "too late")
    assert diary.done == ["under way"]
    assert await undone(database) == [("too late", JobState.WAITING)]


async def test_stopping_gives_up_a_job_that_does_not_end_and_another_worker_runs_it(
    database: Database, database_url: str, diary: Diary, log: Log
) -> None:
    """A restart must not wait forever; the job is back in the queue."""
    diary.waits = asyncio.Event()
    await deferred(database, "one")
    worker = worker_of(database_url, log, Task("test.write", diary.run))
    worker.start()
    await until(diary.begun.is_set)
    await worker.stop(within=0.1)
    assert await undone(database) == [("one", JobState.WAITING)]
    diary.waits = None
    await worker_of(database_url, log, Task("test.write", diary.run)).run_due()
    assert diary.done == ["one"]


async def test_a_worker_continues_after_its_connections_were_terminated(
    database: Database, database_url: str, postgres: str, diary: Diary, log: Log
) -> None:
    """As after a failover; no operator has to restart it."""
    ended = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'backroom-worker'"
    ended += f" AND datname = '{parameters(database_url)['dbname']}'"
    async with working(worker_of(database_url, log, Task("test.write", diary.run))):
        await deferred(database, "before")
        await until(lambda: diary.done == ["before"])
        async with asyncio.timeout(60):  # a job whose end is just being written would run once more
            while await undone(database):  # noqa: ASYNC110 - it is told by nobody
                await asyncio.sleep(0.01)
        with psycopg.connect(postgres, autocommit=True) as connection:
            # Behind a pooler a connection has the name of its last user.
            await until(lambda: bool(connection.execute(ended).fetchall()))
        await until_there(lambda: deferred(database, "after"))
        await until(lambda: diary.done == ["before", "after"])


async def test_a_worker_leaves_the_jobs_of_modules_that_it_does_not_serve(
    database: Database, database_url: str, diary: Diary, log: Log
) -> None:
    """They wait for a worker that serves them."""
    await deferred(database, "ours")
    async with database.store(FRAME).transaction() as tx:
        await tx.jobs.defer([Job("other.write", {"name": "theirs"})])
    await worker_of(database_url, log, Task("test.write", diary.run)).run_due()
    assert (diary.done, await undone(database)) == (["ours"], [("theirs", JobState.WAITING)])
    await worker_of(database_url, log, Task("other.write", diary.run)).run_due()
    assert diary.done == ["ours", "theirs"]

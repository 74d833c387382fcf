"""Work that is done behind an answer: deferred in the caller's transaction, and done by a worker until it succeeds."""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from time import perf_counter
from typing import Any

import structlog
from procrastinate import App, BaseRetryStrategy, JobContext, PsycopgConnector, RetryDecision
from procrastinate.connector import Notify
from procrastinate.exceptions import ConnectorException
from procrastinate.jobs import DeleteJobCondition, Job
from procrastinate.manager import JobManager
from procrastinate.worker import Worker as QueueWorker
from prometheus_client import CollectorRegistry, Counter, Histogram
from psycopg import AsyncConnection
from psycopg import Error as DriverError
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from server.frame.log import described
from server.frame.outages import UNANSWERED, Outage, explained
from storage.connector import Connector
from storage.errors import StoreError, StoreUnavailable, translation
from storage.frame.records import module_of
from storage.pooler import Pooler
from storage.time_limits import TimeLimits

_AT_ONCE = 32
"""How many jobs one worker does at once, of all tasks together that do not say otherwise."""

MOST_CONNECTIONS = 5
"""Of one worker: one of them hears of new jobs."""
_NAME = "backroom-worker"
TRIES = 20
"""After so many a job is failed, and waits for a person: `backroom jobs`."""
_LONGEST_WAIT = 300.0
_LOOKS_EVERY = 0.5
"""In seconds: a new job is told of at once; one whose time has come, or whose lock is free, is found by looking."""
_TOLD_AFTER_SECONDS = 4.0
"""Longer than readiness takes to tell that the database is away."""
_UNREADY_AFTER_SECONDS = 3.5
"""How long jobs may not be done before the process is not ready: a worker that lost a connection is back sooner."""
_REACHED_SECONDS = 1.0
"""A worker that runs for so long reaches its queue."""
_SETTLED_SECONDS = 2.0
"""A worker that runs for so long is over what had ended it."""
_BUCKETS = (0.005, 0.025, 0.1, 0.5, 2.5, 10, 60)


@dataclass(frozen=True, slots=True)
class Task:
    """One kind of job.

    `run` takes a job's args by their names. It may be run again after it was done, or beside itself: what it does, it
    does once. What it raises is logged, and the job is tried again later.
    """

    name: str
    """The module's name and what is done, such as "commerce.pay"."""
    run: Callable[..., Awaitable[None]]
    every: str = ""
    """When to run by itself, as cron's five fields and a sixth of seconds; empty where it is deferred only.

    One that fails is not tried again: its next time comes.
    """
    queue: str = ""
    """Empty means the module's own, so that a process which serves other modules leaves its jobs alone."""
    at_once: int = 0
    """How many of its jobs one worker does at once, counted apart; with a queue that no other task has.

    0 means that they count with all others: what mostly waits for somebody else's answer would keep those waiting.
    """


@dataclass(frozen=True, slots=True)
class _Lane:
    """Tasks whose jobs are counted together."""

    tasks: Sequence[Task]
    at_once: int

    @property
    def queues(self) -> Sequence[str]:
        return sorted({task.queue or module_of(task.name) for task in self.tasks})


class Worker:
    """Does the jobs of some tasks, in this process's event loop, until it is stopped.

    It begins again by itself when the database was away. A worker that was killed is found out by its heartbeat, and
    its jobs are done by the others.
    """

    def __init__(
        self,
        database_url: str,
        tasks: Sequence[Task],
        logger: structlog.typing.FilteringBoundLogger,
        registry: CollectorRegistry,
        *,
        pooler: Pooler = Pooler.NONE,
        direct_url: str | None = None,
        issuer: str | None = None,
        heartbeat: float = 2.0,
        missed_after: float = 10.0,
        told: Callable[[], bool] | None = None,
        limits: TimeLimits = TimeLimits(),  # noqa: B008 - it is frozen
    ) -> None:
        """`pooler` is what stands before the database, and `direct_url` leads past it: there it hears of new jobs.
        It does none of a database that belongs to another than `issuer`.

        `heartbeat` and `missed_after` in seconds: how often it says that it lives, and when it is taken for dead.
        `told` is whether another line of the log says already that the database is away.
        """
        given: Any = {"application_name": _NAME, "issuer": issuer, "limits": limits}
        self._connector = Connector(database_url, pooler=pooler, **given)
        self._direct = Connector(direct_url, **given) if direct_url else None
        self._hears = pooler is not Pooler.TRANSACTION or direct_url is not None
        self._heartbeat = heartbeat
        self._missed_after = missed_after
        self._away = Outage(
            logger,
            "the worker waits for the database",
            "the worker goes on",
            patience=_TOLD_AFTER_SECONDS if told else 0.0,
            told=told or (lambda: False),
        )
        self._faulty = Outage(logger, "the worker begins again", "the worker goes on")
        self._lanes = _lanes([*tasks, Task("frame.take_up", self._take_up, every="* * * * * */5")])
        unanswered = Outage(
            logger,
            "jobs are tried again once the database answers",
            "jobs are done again",
            told=told or (lambda: False),
        )
        periodic = {task.name for lane in self._lanes for task in lane.tasks if task.every}
        self._record = _Record(registry, logger, periodic, unanswered)
        self._queue: JobManager | None = None
        self._running: Sequence[QueueWorker] = ()
        self._stopping = asyncio.Event()
        self._supervising: asyncio.Task[None] | None = None
        self._away_since: float | None = None

    def why_not(self) -> str | None:
        """Why jobs are not done, for readiness; None where they are, or their connections were lost a moment ago."""
        since = self._away_since
        if since is None or asyncio.get_running_loop().time() - since < _UNREADY_AFTER_SECONDS:
            return None
        return "the worker does not reach its queue"

    def start(self) -> None:
        self._supervising = asyncio.create_task(self._supervise())

    async def stop(self, *, within: float = 20.0) -> None:
        """Takes no more jobs, and returns when those under way are done, or were given up after so many seconds.

        A job that was given up is done again by another worker.
        """
        self._stopping.set()
        for worker in self._running:
            worker.shutdown_graceful_timeout = within
            worker.stop()
        if self._supervising is not None:
            await self._supervising

    async def run_due(self) -> None:
        """Does the jobs that are due, and those that they defer, and returns when none is left."""
        async with self._opened() as queue:
            await self._take_up()
            done = -1
            while done != self._record.count:
                done = self._record.count
                for lane in self._lanes:
                    await self._worker(lane, queue, wait=False).run()

    async def _supervise(self) -> None:
        while not self._stopping.is_set():
            try:
                await self._work()
                if not self._stopping.is_set():  # a queue lost its connection, and ended by itself
                    self._lost()
                    self._away.met(why=UNANSWERED)
            except (StoreError, ConnectorException, DriverError, PoolTimeout) as error:
                self._lost()
                trouble = translation(error)
                self._away.met(why=explained(trouble) if isinstance(trouble, StoreError) else described(error))
            except Exception as error:  # noqa: BLE001 - whatever it is, jobs go on being done
                self._lost()
                self._faulty.met(fault=described(error))
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), 1.0)
        for connector in filter(None, (self._connector, self._direct)):
            await connector.close()

    def _lost(self) -> None:
        if self._away_since is None:
            self._away_since = asyncio.get_running_loop().time()

    async def _work(self) -> None:
        async with self._opened() as queue:
            await self._take_up()
            loop = asyncio.get_running_loop()
            timers = (
                loop.call_later(_REACHED_SECONDS, self._reached),
                loop.call_later(_SETTLED_SECONDS, self._settled),
            )
            self._running = [self._worker(lane, queue, wait=True) for lane in self._lanes]
            try:
                await asyncio.gather(*map(self._to_the_end, self._running))
            finally:
                for timer in timers:
                    timer.cancel()

    def _reached(self) -> None:
        self._away_since = None

    def _settled(self) -> None:
        self._away.over()
        self._faulty.over()

    async def _to_the_end(self, worker: QueueWorker) -> None:
        """Runs one queue's worker; when it ends, whyever, the others end too, to begin again together."""
        try:
            if not self._stopping.is_set():
                await worker.run()
        finally:
            for other in self._running:
                other.stop()

    @asynccontextmanager
    async def _opened(self) -> AsyncIterator[PsycopgConnector]:
        """The queue, on connections of its own, by which jobs are fetched and ended."""
        # The pool would wait without a word: this says why there is no connection.
        only_to_see = await self._connector.open()
        await only_to_see.close()
        async with _pool(self._connector, min_size=1) as pool:
            connector = _Queue(_pool(self._direct) if self._direct else pool)
            await connector.open_async(pool)
            self._queue = JobManager(connector)
            yield connector

    def _worker(self, lane: _Lane, connector: PsycopgConnector, *, wait: bool) -> QueueWorker:
        app = App(connector=connector)
        for task in lane.tasks:
            _register(task, app)
        return QueueWorker(
            app,
            queues=lane.queues,
            name=None,
            concurrency=lane.at_once,
            wait=wait,
            # LISTEN is of the session, of which there is none behind such a pooler: new jobs are found by looking.
            listen_notify=wait and self._hears,
            fetch_job_polling_interval=_LOOKS_EVERY,
            delete_jobs=DeleteJobCondition.SUCCESSFUL,
            install_signal_handlers=False,
            update_heartbeat_interval=self._heartbeat,
            stalled_worker_timeout=self._missed_after,
            worker_middleware=[self._record.around],
        )

    async def _take_up(self) -> None:
        """Puts back into the queue what workers had begun that are dead."""
        assert self._queue is not None  # noqa: S101 - a job runs while the queue is open
        for job in await self._queue.get_stalled_jobs(seconds_since_heartbeat=self._missed_after):
            with suppress(ConnectorException):  # another worker was faster
                await self._queue.retry_job(job)


class _Queue(PsycopgConnector):
    """The queue, which hears of new jobs by the connections of a pool of its own."""

    def __init__(self, hears_by: AsyncConnectionPool[AsyncConnection[Any]]) -> None:
        super().__init__()
        self._hears_by = hears_by

    async def listen_notify(self, on_notification: Notify, channels: Iterable[str]) -> None:
        hearing = PsycopgConnector()
        await hearing.open_async(self._hears_by)  # which is asked how to connect, and not opened
        await hearing.listen_notify(on_notification, channels)


def _pool(connector: Connector, *, min_size: int = 0) -> AsyncConnectionPool[AsyncConnection[Any]]:
    async def configure(connection: AsyncConnection[Any]) -> None:
        await connector.fit(connection)
        # What the queue asks is one statement each: a transaction around it would be two more.
        await connection.set_autocommit(True)

    return AsyncConnectionPool(
        # It confirms each fetch: a job is begun once no promotion can undo that it was taken.
        connection_class=connector.connection_class(),
        min_size=min_size,
        max_size=MOST_CONNECTIONS - 1,
        timeout=5.0,
        open=False,
        configure=configure,
    )


def _register(task: Task, app: App) -> None:
    if not task.every:
        app.task(name=task.name, retry=_Patience())(task.run)
        return

    async def run(timestamp: int) -> None:  # noqa: ARG001 - the queue gives it by this name
        await task.run()

    # While one waits to be done, no other is put behind it.
    queue = task.queue or module_of(task.name)
    periodic = app.task(name=task.name, queue=queue, queueing_lock=task.name)(run)
    app.periodic(cron=task.every)(periodic)


def _lanes(tasks: Sequence[Task]) -> Sequence[_Lane]:
    together = _Lane([task for task in tasks if not task.at_once], _AT_ONCE)
    return (together, *(_Lane([task], task.at_once) for task in tasks if task.at_once))


class _Patience(BaseRetryStrategy):
    """Tries again after 1, 2, 4 ... seconds, and at most after some minutes, so that a fault may pass meanwhile."""

    def get_retry_decision(self, *, exception: BaseException, job: Job) -> RetryDecision | None:
        if isinstance(exception, asyncio.CancelledError):  # its worker was stopped
            return RetryDecision()
        if job.attempts + 1 >= TRIES:
            return None
        wait = min(2.0**job.attempts, _LONGEST_WAIT) * random.uniform(0.75, 1.25)  # noqa: S311 - not for secrets
        return RetryDecision(retry_at=datetime.now(UTC) + timedelta(seconds=wait))


class _Record:
    """One log line and one metric a job; a periodic one that had nothing to say is logged for debugging alone.

    Of those for which the database was away, `unanswered` warns, however many they are.
    """

    def __init__(
        self,
        registry: CollectorRegistry,
        logger: structlog.typing.FilteringBoundLogger,
        quiet: Collection[str],
        unanswered: Outage,
    ) -> None:
        self._logger = logger
        self._quiet = quiet
        self._unanswered = unanswered
        self._ended = Counter("backroom_jobs", "Jobs ended, by outcome", ("task", "outcome"), registry=registry)
        self._seconds = Histogram(
            "backroom_job_seconds", "How long jobs took", ("task",), registry=registry, buckets=_BUCKETS
        )
        self.count = 0
        """How many jobs were begun."""

    async def around(self, run: Callable[[], Awaitable[Any]], context: JobContext, _worker: QueueWorker) -> None:
        job = context.job
        self.count += 1
        began = perf_counter()
        outcome, fault = "cancelled", ""
        try:
            await run()
            outcome = "done"
        except Exception as error:
            outcome, fault = "failed", _fault(error)
            if job.task_name not in self._quiet:
                raise
        finally:
            self._write(job, outcome, fault, perf_counter() - began)

    def _write(self, job: Job, outcome: str, fault: str, seconds: float) -> None:
        self._ended.labels(job.task_name, outcome).inc()
        self._seconds.labels(job.task_name).observe(seconds)
        line: dict[str, object] = {"task": job.task_name, "job_id": job.id, "outcome": outcome}
        line |= {"duration_ms": round(seconds * 1000, 2), "attempt": job.attempts + 1}
        write = self._logger.debug if job.task_name in self._quiet else self._logger.info
        if fault == UNANSWERED:
            self._unanswered.met()
            write("job", **line, fault=fault)
        elif fault:
            self._logger.error("job", **line, fault=fault)
        else:
            if outcome == "done":
                self._unanswered.over()
            write("job", **line)


def _fault(error: Exception) -> str:
    """Where in the code a job was when the database went away is of no use to anybody."""
    return UNANSWERED if isinstance(translation(error), StoreUnavailable) else described(error)

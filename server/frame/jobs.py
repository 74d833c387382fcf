"""Work that is done behind an answer: deferred in the caller's transaction, and done by a worker until it succeeds."""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog
from procrastinate import App, BaseRetryStrategy, JobContext, PsycopgConnector, RetryDecision
from procrastinate.connector import Notify
from procrastinate.exceptions import ConnectorException
from procrastinate.jobs import DeleteJobCondition, Job
from procrastinate.manager import JobManager
from procrastinate.worker import Worker as QueueWorker
from prometheus_client import CollectorRegistry
from psycopg import AsyncConnection
from psycopg import Error as DriverError
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from server.frame.job_log import JobLog
from server.frame.log import described
from server.frame.outages import UNANSWERED, Outage, explained
from storage.connector import Connector
from storage.errors import StoreError, translation
from storage.frame.records import module_of
from storage.pooler import Pooler
from storage.time_limits import TimeLimits

_CONCURRENCY = 32
"""How many jobs one worker does concurrently, of all tasks together that do not say otherwise."""

MAX_CONNECTIONS = 5
"""Of one worker: one of them listens for new jobs."""
_NAME = "backroom-worker"
MAX_TRIES = 20
"""After so many a job is failed, and waits for a person: `backroom jobs`."""
_MAX_BACKOFF_SECONDS = 300.0
_POLL_SECONDS = 0.5
"""In seconds: a new job is announced immediately; one whose time has come, or whose lock is free, is found by
looking."""
_LOG_AFTER_SECONDS = 4.0
"""Longer than readiness takes to notice that the database does not respond."""
_UNREADY_AFTER_SECONDS = 3.5
"""How long jobs may not be done before the process is not ready: a worker that lost a connection is back sooner."""
_REACHABLE_AFTER_SECONDS = 1.0
"""A worker that runs for so long reaches its queue."""
_RECOVERED_AFTER_SECONDS = 2.0
"""A worker that has run for so long has recovered from what had ended it."""


@dataclass(frozen=True, slots=True)
class Task:
    """One kind of job.

    `run` takes a job's args by their names. It may be run again after it was done, or twice at the same time: what it
    does, it does once. What it raises is logged, and the job is tried again later.
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
    concurrency: int = 0
    """How many of its jobs one worker does concurrently, counted separately; with a queue that no other task has.

    0 means that they count with all others: what mostly waits for somebody else's answer would keep those waiting.
    """


@dataclass(frozen=True, slots=True)
class _ConcurrencyGroup:
    """Tasks whose jobs are counted together."""

    tasks: Sequence[Task]
    concurrency: int

    @property
    def queues(self) -> Sequence[str]:
        return sorted({task.queue or module_of(task.name) for task in self.tasks})


class Worker:
    """Does the jobs of some tasks, in this process's event loop, until it is stopped.

    It restarts by itself after an outage of the database. A worker that was killed is found out by its heartbeat, and
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
        heartbeat_seconds: float = 2.0,
        stalled_after_seconds: float = 10.0,
        already_logged: Callable[[], bool] | None = None,
        confirmed: Callable[[], AbstractAsyncContextManager[None]] = nullcontext,
        limits: TimeLimits = TimeLimits(),  # noqa: B008 - it is frozen
    ) -> None:
        """`pooler` is the connection pooler in front of the database, and `direct_url` leads past it: there it listens
        for new jobs. It does none of a database that belongs to another than `issuer`.

        A worker's heartbeat comes every `heartbeat_seconds`; without one for `stalled_after_seconds` it is dead.
        `already_logged` is whether another line of the log says already that the database does not respond.
        Each job runs within `confirmed`, which raises where what it found done already may still be undone.
        """
        self._confirmed = confirmed
        given: Any = {"application_name": _NAME, "issuer": issuer, "limits": limits}
        self._connector = Connector(database_url, pooler=pooler, **given)
        self._direct = Connector(direct_url, **given) if direct_url else None
        self._listens = pooler is not Pooler.TRANSACTION or direct_url is not None
        self._heartbeat_seconds = heartbeat_seconds
        self._stalled_after_seconds = stalled_after_seconds
        self._outage = Outage(
            logger,
            "worker_database_unavailable",
            "worker_resumed",
            grace_seconds=_LOG_AFTER_SECONDS if already_logged else 0.0,
            already_logged=already_logged or (lambda: False),
        )
        self._defect = Outage(logger, "worker_restarting", "worker_resumed")
        self._groups = _groups([*tasks, Task("frame.take_up", self._requeue_stalled, every="* * * * * */5")])
        interrupted = Outage(
            logger,
            "jobs_interrupted",
            "jobs_resumed",
            already_logged=already_logged or (lambda: False),
        )
        self._periodic = {task.name for group in self._groups for task in group.tasks if task.every}
        self._job_log = JobLog(registry, logger, self._periodic, interrupted)
        self._queue: JobManager | None = None
        self._running: Sequence[QueueWorker] = ()
        self._stopping = asyncio.Event()
        self._supervising: asyncio.Task[None] | None = None
        self._unreachable_since: float | None = None

    def unready_reason(self) -> str | None:
        """Why jobs are not done, for readiness; None where they are, or their connections were lost a moment ago."""
        since = self._unreachable_since
        if since is None or asyncio.get_running_loop().time() - since < _UNREADY_AFTER_SECONDS:
            return None
        return "the worker does not reach its queue"

    def start(self) -> None:
        self._supervising = asyncio.create_task(self._supervise())

    async def stop(self, *, within: float = 20.0) -> None:
        """Takes no more jobs, and returns when those under way are done, or were interrupted after so many seconds.

        An interrupted job is done again by another worker.
        """
        self._stopping.set()
        for worker in self._running:
            worker.shutdown_graceful_timeout = within
            worker.stop()
        if self._supervising is not None:
            await self._supervising

    async def run_due(self) -> None:
        """Does the jobs that are due, and those that they defer, and returns when none is left."""
        async with self._open_queue() as queue:
            await self._requeue_stalled()
            done = -1
            while done != self._job_log.count:
                done = self._job_log.count
                for group in self._groups:
                    await self._worker(group, queue, wait=False).run()

    async def _supervise(self) -> None:
        while not self._stopping.is_set():
            try:
                await self._work()
                if not self._stopping.is_set():  # a queue lost its connection, and ended by itself
                    self._mark_unreachable()
                    self._outage.record_failure(why=UNANSWERED)
            except (StoreError, ConnectorException, DriverError, PoolTimeout) as error:
                self._mark_unreachable()
                problem = translation(error)
                self._outage.record_failure(
                    why=explained(problem) if isinstance(problem, StoreError) else described(error)
                )
            except Exception as error:  # noqa: BLE001 - whatever it is, jobs go on being done
                self._mark_unreachable()
                self._defect.record_failure(fault=described(error))
            with suppress(TimeoutError):
                async with asyncio.timeout(1.0):
                    await self._stopping.wait()
        for connector in filter(None, (self._connector, self._direct)):
            await connector.close()

    def _mark_unreachable(self) -> None:
        if self._unreachable_since is None:
            self._unreachable_since = asyncio.get_running_loop().time()

    async def _work(self) -> None:
        async with self._open_queue() as queue:
            await self._requeue_stalled()
            loop = asyncio.get_running_loop()
            timers = (
                loop.call_later(_REACHABLE_AFTER_SECONDS, self._mark_reachable),
                loop.call_later(_RECOVERED_AFTER_SECONDS, self._mark_recovered),
            )
            self._running = [self._worker(group, queue, wait=True) for group in self._groups]
            try:
                await asyncio.gather(*map(self._run_queue, self._running))
            finally:
                for timer in timers:
                    timer.cancel()

    def _mark_reachable(self) -> None:
        self._unreachable_since = None

    def _mark_recovered(self) -> None:
        self._outage.record_recovery()
        self._defect.record_recovery()

    async def _run_queue(self, worker: QueueWorker) -> None:
        """Runs one queue's worker; when it ends, for any reason, the others end too, to restart together."""
        try:
            if not self._stopping.is_set():
                await worker.run()
        finally:
            for other in self._running:
                other.stop()

    @asynccontextmanager
    async def _open_queue(self) -> AsyncIterator[PsycopgConnector]:
        """The queue, on connections of its own, by which jobs are fetched and ended."""
        # The pool would wait without a word: this says why there is no connection.
        probe = await self._connector.open()
        await probe.close()
        async with _pool(self._connector, min_size=1) as pool:
            connector = _Queue(_pool(self._direct) if self._direct else pool)
            await connector.open_async(pool)
            self._queue = JobManager(connector)
            yield connector

    def _worker(self, group: _ConcurrencyGroup, connector: PsycopgConnector, *, wait: bool) -> QueueWorker:
        app = App(connector=connector)
        for task in group.tasks:
            _register(task, app)
        return QueueWorker(
            app,
            queues=group.queues,
            name=None,
            concurrency=group.concurrency,
            wait=wait,
            # LISTEN is of the session, of which there is none behind such a pooler: new jobs are found by looking.
            listen_notify=wait and self._listens,
            fetch_job_polling_interval=_POLL_SECONDS,
            delete_jobs=DeleteJobCondition.SUCCESSFUL,
            install_signal_handlers=False,
            update_heartbeat_interval=self._heartbeat_seconds,
            stalled_worker_timeout=self._stalled_after_seconds,
            worker_middleware=[self._run],
        )

    async def _run(self, run: Callable[[], Awaitable[Any]], context: JobContext, _worker: QueueWorker) -> None:
        """Runs a job, which the queue deletes when this returns.

        The queue and the job have connections of their own. Where a primary hung and is back after the promotion, the
        queue may have found the new one, and the job the old one, with changes that nothing but it has: a job that
        finds these there and does nothing would be deleted from the new one.
        """

        async def confirmed() -> None:
            async with self._confirmed():
                await run()

        # A periodic one that was left out is done the next time.
        await self._job_log.record(context.job, run if context.job.task_name in self._periodic else confirmed)

    async def _requeue_stalled(self) -> None:
        """Puts back into the queue the jobs that dead workers had begun."""
        assert self._queue is not None  # noqa: S101 - a job runs while the queue is open
        for job in await self._queue.get_stalled_jobs(seconds_since_heartbeat=self._stalled_after_seconds):
            with suppress(ConnectorException):  # another worker was faster
                await self._queue.retry_job(job)


class _Queue(PsycopgConnector):
    """The queue, which listens for new jobs on the connections of a pool of its own."""

    def __init__(self, listen_pool: AsyncConnectionPool[AsyncConnection[Any]]) -> None:
        super().__init__()
        self._listen_pool = listen_pool

    async def listen_notify(self, on_notification: Notify, channels: Iterable[str]) -> None:
        listener = PsycopgConnector()
        await listener.open_async(self._listen_pool)  # which gives the way to connect, and is not opened
        await listener.listen_notify(on_notification, channels)


def _pool(connector: Connector, *, min_size: int = 0) -> AsyncConnectionPool[AsyncConnection[Any]]:
    async def configure(connection: AsyncConnection[Any]) -> None:
        await connector.ensure_usable(connection)
        # Each of the queue's questions is one statement: a transaction around it would be two more.
        await connection.set_autocommit(True)

    return AsyncConnectionPool(
        # It confirms each fetch: a job begins once no promotion can undo that it was taken.
        connection_class=connector.connection_class(),
        min_size=min_size,
        max_size=MAX_CONNECTIONS - 1,
        timeout=5.0,
        open=False,
        configure=configure,
    )


def _register(task: Task, app: App) -> None:
    if not task.every:
        app.task(name=task.name, retry=_Backoff())(task.run)
        return

    async def run(timestamp: int) -> None:  # noqa: ARG001 - the queue gives it by this name
        await task.run()

    # While one waits to be done, no other is put behind it.
    queue = task.queue or module_of(task.name)
    periodic = app.task(name=task.name, queue=queue, queueing_lock=task.name)(run)
    app.periodic(cron=task.every)(periodic)


def _groups(tasks: Sequence[Task]) -> Sequence[_ConcurrencyGroup]:
    together = _ConcurrencyGroup([task for task in tasks if not task.concurrency], _CONCURRENCY)
    return (together, *(_ConcurrencyGroup([task], task.concurrency) for task in tasks if task.concurrency))


class _Backoff(BaseRetryStrategy):
    """Tries again after 1, 2, 4 ... seconds, and at most after some minutes, so that a fault may pass meanwhile."""

    def get_retry_decision(self, *, exception: BaseException, job: Job) -> RetryDecision | None:
        if isinstance(exception, asyncio.CancelledError):  # its worker was stopped
            return RetryDecision()
        if job.attempts + 1 >= MAX_TRIES:
            return None
        wait = min(2.0**job.attempts, _MAX_BACKOFF_SECONDS) * random.uniform(0.75, 1.25)  # noqa: S311 - not for secrets
        return RetryDecision(retry_at=datetime.now(UTC) + timedelta(seconds=wait))

from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

from procrastinate import PsycopgConnector
from procrastinate.jobs import Job as JobToQueue
from procrastinate.manager import JobManager
from sqlalchemy import delete, select, text, tuple_, update
from sqlalchemy.dialects.postgresql import insert

from storage.base import Repository, columns_of, given, some_of
from storage.frame.records import Claim, EarlierRequest, Event, Job, JobState, QueuedJob, RequestKey, module_of
from storage.frame.tables import events, request_ids
from storage.log import CURRENT

Scope = tuple[UUID, UUID]

_CLAIM = ("caller_id", "request_id", "digest", "answer")
_SCOPE = ("caller_id", "request_id")
_ANSWER = ("caller_id", "request_id", "answer")
_EVENT = ("type", "subject_id", "data", "create_time")


class RequestRepository(Repository):
    """Which requests came before.

    A claim that another transaction is making waits for its end: if that commits, its answer is found, and if it
    rolls back, the claim is free. Claims are taken in key order, so that two batches never wait for one another.
    """

    async def claim(self, claims: Sequence[Claim]) -> Mapping[Scope, EarlierRequest]:
        """Claims the requests that are new, and returns the others as they first came; keys must differ."""
        if not claims:
            return {}
        ordered = sorted(claims, key=lambda claim: claim.key.scope)
        rows = given(request_ids, *_CLAIM)
        statement = (
            insert(request_ids)
            .from_select(list(_CLAIM), select(rows))
            .on_conflict_do_nothing()
            .returning(request_ids.c.caller_id, request_ids.c.request_id)
        )
        values = columns_of(_CLAIM, ((*claim.key.scope, claim.key.digest, claim.answer) for claim in ordered))
        claimed = {tuple(row) for row in await self._connection.execute(statement, values)}
        return await self._find([claim.key.scope for claim in ordered if claim.key.scope not in claimed])

    async def remember(self, answers: Mapping[RequestKey, str]) -> None:
        """Keeps the answers of requests that were claimed in this transaction."""
        if not answers:
            return
        rows = given(request_ids, *_ANSWER)
        mine = (request_ids.c.caller_id == rows.c.caller_id) & (request_ids.c.request_id == rows.c.request_id)
        values = columns_of(_ANSWER, ((*key.scope, answer) for key, answer in answers.items()))
        await self._connection.execute(update(request_ids).where(mine).values(answer=rows.c.answer), values)

    async def release(self, scopes: Sequence[Scope]) -> None:
        """Forgets requests that were claimed in this transaction and refused, so that they may be tried again."""
        if not scopes:
            return
        rows = given(request_ids, *_SCOPE)
        mine = (request_ids.c.caller_id == rows.c.caller_id) & (request_ids.c.request_id == rows.c.request_id)
        await self._connection.execute(delete(request_ids).where(mine), columns_of(_SCOPE, scopes))

    async def purge(self, before: datetime, limit: int) -> int:
        """Forgets up to so many requests that came before a time, and returns how many that were."""
        old = request_ids.c.create_time < before
        return (await self._connection.execute(some_of(request_ids, old, limit))).rowcount

    async def _find(self, scopes: Sequence[Scope]) -> Mapping[Scope, EarlierRequest]:
        if not scopes:
            return {}
        key = tuple_(request_ids.c.caller_id, request_ids.c.request_id)
        found = await self._connection.execute(select(request_ids).where(key.in_(scopes)))
        return {(row.caller_id, row.request_id): EarlierRequest(row.digest, row.answer) for row in found}


class EventRepository(Repository):
    """The log of what happened, which watchers and webhooks are told from."""

    async def publish(self, new: Sequence[Event]) -> None:
        """Writes events into the log, in their order; others are told once this transaction has committed."""
        if not new:
            return
        statement = insert(events).from_select(list(_EVENT), select(given(events, *_EVENT)))
        rows = ((event.type, event.subject_id, event.data, event.create_time) for event in new)
        await self._connection.execute(statement, columns_of(_EVENT, rows))

    async def snapshot(self) -> str:
        """What has committed by now; see `storage.log`."""
        return str((await self._connection.execute(select(CURRENT))).scalar_one())

    async def purge(self, before: datetime, limit: int) -> int:
        """Forgets up to so many events from before a time, and returns how many that were."""
        return (await self._connection.execute(some_of(events, events.c.create_time < before, limit))).rowcount


class JobRepository(Repository):
    """The queue of jobs, which is the outbox too: a job is there when its transaction has committed, and only then."""

    _manager = JobManager(PsycopgConnector())

    async def defer(self, jobs: Sequence[Job]) -> None:
        """Puts jobs into the queue, in their order, in one statement."""
        if not jobs:
            return
        connection = (await self._connection.get_raw_connection()).driver_connection
        await self._manager.batch_defer_jobs_async([_queued(job) for job in jobs], connection=connection)

    async def list_undone(self, limit: int) -> Sequence[QueuedJob]:
        """The jobs that wait, run or have failed, the first first."""
        found = await self._connection.execute(_UNDONE, {"limit": limit})
        return [QueuedJob(row.id, row.task_name, row.args, JobState(row.status), *row[4:]) for row in found]

    async def retry(self, job_id: int) -> bool:
        """Puts a job that has failed back into the queue, to be done at once; whether there was one."""
        return (await self._connection.execute(_RETRY, {"job_id": job_id})).scalar() is not None


_UNDONE = text("""
    SELECT id, task_name, args, status::text, attempts, scheduled_at FROM procrastinate_jobs
    WHERE status IN ('todo', 'doing', 'failed') ORDER BY id LIMIT :limit
""")
_RETRY = text("""
    UPDATE procrastinate_jobs SET status = 'todo', scheduled_at = NULL, attempts = 0
    WHERE id = :job_id AND status = 'failed' RETURNING id
""")


def _queued(job: Job) -> JobToQueue:
    return JobToQueue(
        id=None,
        queue=job.queue or module_of(job.task),
        lock=job.lock,
        queueing_lock=None,
        priority=job.priority,
        task_name=job.task,
        task_kwargs=dict(job.args),
        scheduled_at=job.run_at,
    )

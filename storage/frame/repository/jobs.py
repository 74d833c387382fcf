from collections.abc import Sequence

from procrastinate import PsycopgConnector
from procrastinate.jobs import Job as JobToQueue
from procrastinate.manager import JobManager
from sqlalchemy import text

from storage.base import Reader, Records, Repository
from storage.frame.records import Job, JobState, QueuedJob, module_of


class JobReader(Reader):
    """The queue of jobs."""

    async def list_undone(self, limit: int) -> Sequence[QueuedJob]:
        """The jobs that wait, run or have failed, the first first."""
        return _JOBS.all(await self._connection.execute(_UNDONE, {"limit": limit}))


class JobRepository(JobReader, Repository):
    """The queue of jobs, which is the outbox too: a job is there when its transaction has committed, and only then."""

    _manager = JobManager(PsycopgConnector())

    async def defer(self, jobs: Sequence[Job]) -> None:
        """Puts jobs into the queue, in their order, in one statement."""
        if not jobs:
            return
        connection = (await self._connection.get_raw_connection()).driver_connection
        await self._manager.batch_defer_jobs_async([_queued(job) for job in jobs], connection=connection)

    async def retry(self, job_id: int) -> bool:
        """Puts a job that has failed back into the queue, to be done immediately; whether there was one."""
        return (await self._connection.execute(_RETRY, {"job_id": job_id})).scalar() is not None

    async def cancel_all(self) -> int:
        """Takes all jobs out of the queue, those that run or have failed too, and returns how many those were."""
        return len((await self._connection.execute(_CANCEL)).all())


_JOBS = Records(QueuedJob, state=JobState)
_UNDONE = text("""
    SELECT id, task_name AS task, args, status::text AS state, attempts, scheduled_at AS run_at FROM procrastinate_jobs
    WHERE status IN ('todo', 'doing', 'failed') ORDER BY id LIMIT :limit
""")
_RETRY = text("""
    UPDATE procrastinate_jobs SET status = 'todo', scheduled_at = NULL, attempts = 0
    WHERE id = :job_id AND status = 'failed' RETURNING id
""")
_CANCEL = text("""
    UPDATE procrastinate_jobs SET status = 'cancelled'
    WHERE status IN ('todo', 'doing', 'failed') RETURNING id
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

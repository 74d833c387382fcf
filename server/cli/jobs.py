"""What waits, what runs, what has failed: the queue as an operator sees it."""

import asyncio
from collections import Counter

from rich.console import Console
from rich.table import Table

from server import settings
from server.cli.failure import Failure
from server.cli.opened import migrated_database
from storage.frame.records import JobState, QueuedJob

_SHOWN = 200
_WORDS = {JobState.WAITING: "waiting", JobState.RUNNING: "running", JobState.FAILED: "failed"}


def list_jobs() -> None:
    jobs = asyncio.run(_undone())
    console = Console(highlight=False)
    if not jobs:
        console.print("no job waits, runs or has failed")
        return
    table = Table(box=None, pad_edge=False)
    for title in ("job", "task", "state", "tries", "not before", "on"):
        table.add_column(title, overflow="fold")
    for job in jobs[:_SHOWN]:
        run_at = f"{job.run_at:%Y-%m-%d %H:%M:%S %Z}" if job.run_at else ""
        table.add_row(str(job.id), job.task, _WORDS[job.state], str(job.attempts), run_at, " ".join(job.args.values()))
    console.print(table)
    counts = Counter(_WORDS[job.state] for job in jobs)
    more = " or more" if len(jobs) > _SHOWN else ""
    console.print(", ".join(f"{count:,} {word}" for word, count in sorted(counts.items())) + more)


def retry_job(job_id: int) -> None:
    if not asyncio.run(_retried(job_id)):
        raise Failure(f"job {job_id}: there is none that has failed; backroom jobs lists them")
    print(f"job {job_id} is in the queue again")


async def _undone() -> list[QueuedJob]:
    async with migrated_database(settings.read()) as database, database.reading() as tx:
        return list(await tx.jobs.list_undone(_SHOWN + 1))


async def _retried(job_id: int) -> bool:
    async with migrated_database(settings.read()) as database, database.transaction() as tx:
        return await tx.jobs.retry(job_id)

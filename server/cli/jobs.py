"""What waits, what runs, what has failed: the queue as an operator sees it."""

import asyncio
import json
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime

from rich.console import Console
from rich.table import Table

from server import settings
from server.cli.document import print_document
from server.process.database import migrated_database
from server.process.failure import Failure
from storage.frame.records import JobState, QueuedJob
from storage.store import FRAME

_SHOWN = 200
_WORDS = {JobState.WAITING: "waiting", JobState.RUNNING: "running", JobState.FAILED: "failed"}


def list_jobs(*, as_json: bool = False) -> None:
    jobs = asyncio.run(_undone())
    if as_json:
        print_document({"jobs": [_described(job) for job in jobs[:_SHOWN]], "more": len(jobs) > _SHOWN})
        return
    console = Console(highlight=False)
    if not jobs:
        console.print("no job waits, runs or has failed")
        return
    table = Table(box=None, pad_edge=False)
    for title in ("job", "task", "state", "tries", "not before", "on"):
        table.add_column(title, overflow="fold")
    for job in jobs[:_SHOWN]:
        run_at = f"{job.run_at:%Y-%m-%d %H:%M:%S %Z}" if job.run_at else ""
        table.add_row(str(job.id), job.task, _WORDS[job.state], str(job.attempts), run_at, _on(job))
    console.print(table)
    counts = Counter(_WORDS[job.state] for job in jobs)
    more = " or more" if len(jobs) > _SHOWN else ""
    console.print(", ".join(f"{count:,} {word}" for word, count in sorted(counts.items())) + more)


def _on(job: QueuedJob) -> str:
    """What a job is about; a periodic one is about the time that it was due at."""
    if list(job.args) == ["timestamp"]:
        return f"due {datetime.fromtimestamp(int(str(job.args['timestamp'])), UTC):%Y-%m-%d %H:%M:%S UTC}"
    values = (value for value in job.args.values() if value is not None)
    return " ".join(value if isinstance(value, str) else json.dumps(value) for value in values)


def _described(job: QueuedJob) -> Mapping[str, object]:
    state, times = _WORDS[job.state], {"tries": job.attempts, "not_before": job.run_at}
    return {"id": job.id, "task": job.task, "state": state, **times, "args": job.args}


def retry_job(job_id: int) -> None:
    if not asyncio.run(_retried(job_id)):
        raise Failure(f"job {job_id}: there is none that has failed; backroom jobs lists them")
    print(f"job {job_id} is in the queue again")


async def _undone() -> list[QueuedJob]:
    async with migrated_database(settings.read()) as database, database.store(FRAME).reading() as reading:
        return list(await reading.jobs.list_undone(_SHOWN + 1))


async def _retried(job_id: int) -> bool:
    configured = settings.read()
    async with (
        migrated_database(configured, issuer=configured.issuer) as database,
        database.store(FRAME).transaction() as tx,
    ):
        return await tx.jobs.retry(job_id)

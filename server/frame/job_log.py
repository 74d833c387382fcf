"""What the log and the metrics say of jobs."""

from collections.abc import Awaitable, Callable, Collection
from time import perf_counter
from typing import Any

import structlog
from procrastinate.jobs import Job
from prometheus_client import CollectorRegistry, Counter, Histogram

from server.frame.log import described
from server.frame.outages import UNANSWERED, Outage
from storage.errors import StoreUnavailable, translation

_BUCKETS = (0.005, 0.025, 0.1, 0.5, 2.5, 10, 60)


class JobLog:
    """One log line and one metric a job; a periodic one that had nothing to say is logged for debugging alone.

    Of those that an outage of the database interrupted, `interrupted` warns, however many they are. It has passed once
    a job is done that began after the last of these: one that was under way may end without the database.
    """

    def __init__(
        self,
        registry: CollectorRegistry,
        logger: structlog.typing.FilteringBoundLogger,
        quiet: Collection[str],
        interrupted: Outage,
    ) -> None:
        self._logger = logger
        self._quiet = quiet
        self._interrupted = interrupted
        self._ended = Counter("backroom_jobs", "Jobs ended, by outcome", ("task", "outcome"), registry=registry)
        self._seconds = Histogram(
            "backroom_job_seconds", "How long jobs took", ("task",), registry=registry, buckets=_BUCKETS
        )
        self._interrupted_at = 0.0
        self.count = 0
        """How many jobs were started."""

    async def record(self, job: Job, run: Callable[[], Awaitable[Any]]) -> None:
        """Runs a job, and raises what it raises, but for those that are quiet."""
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
            self._write(job, outcome, fault, began)

    def _write(self, job: Job, outcome: str, fault: str, began: float) -> None:
        ended = perf_counter()
        seconds = ended - began
        self._ended.labels(job.task_name, outcome).inc()
        self._seconds.labels(job.task_name).observe(seconds)
        line: dict[str, object] = {"task": job.task_name, "job_id": job.id, "outcome": outcome}
        line |= {"duration_ms": round(seconds * 1000, 2), "attempt": job.attempts + 1}
        write = self._logger.debug if job.task_name in self._quiet else self._logger.info
        if fault == UNANSWERED:
            self._interrupted_at = ended
            self._interrupted.record_failure()
            write("job", **line, fault=fault)
        elif fault:
            self._logger.error("job", **line, fault=fault)
        else:
            if outcome == "done" and began > self._interrupted_at:
                self._interrupted.record_recovery()
            write("job", **line)


def _fault(error: Exception) -> str:
    """Where in the code a job was when the database stopped responding is of no use to anybody."""
    return UNANSWERED if isinstance(translation(error), StoreUnavailable) else described(error)

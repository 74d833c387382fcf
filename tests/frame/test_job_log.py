"""What the log says of jobs."""

import asyncio
from typing import Any

import pytest
import structlog
from procrastinate.jobs import Job
from prometheus_client import CollectorRegistry

from server.frame.job_log import JobLog
from server.frame.outages import Outage
from storage.errors import StoreUnavailable
from tests.fixtures.servers import keep_in

JOB = Job(id=1, queue="test", lock=None, queueing_lock=None, task_name="test.write")


async def interrupted() -> None:
    raise StoreUnavailable


async def test_jobs_that_one_outage_interrupts_are_one_line() -> None:
    """Also where a job that was under way is done meanwhile: only one that began afterwards says that it has passed."""
    lines = list[dict[str, Any]]()
    logger = structlog.wrap_logger(None, [keep_in(lines)], structlog.make_filtering_bound_logger(0))
    jobs = JobLog(CollectorRegistry(), logger, (), Outage(logger, "jobs_interrupted", "jobs_resumed"))
    going_on = asyncio.Event()
    under_way = asyncio.create_task(jobs.record(JOB, going_on.wait))
    await asyncio.sleep(0)
    for _ in range(2):
        with pytest.raises(StoreUnavailable):
            await jobs.record(JOB, interrupted)
        going_on.set()
        await under_way
    assert [line["event"] for line in lines if line["event"] != "job"] == ["jobs_interrupted"]
    await jobs.record(JOB, going_on.wait)
    assert [line["event"] for line in lines if line["event"] != "job"] == ["jobs_interrupted", "jobs_resumed"]

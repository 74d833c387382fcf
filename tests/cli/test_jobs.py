"""The queue as an operator sees it, and the process that only runs jobs."""

import asyncio
import json
import os
import signal
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import psycopg
import pytest

from storage.database import Database
from storage.frame.records import Job
from storage.store import FRAME
from tests.fixtures.forking import ForkedProcess, forked
from tests.fixtures.keys import MASTER_KEY
from tests.fixtures.processes import serving
from tests.fixtures.trading import eventually
from tests.process.commands import Finished, backroom, backroom_here
from tests.webhooks.http import Post, sent
from tests.webhooks.kept import published
from tests.webhooks.senders import SETTING, standard


@asynccontextmanager
async def working(database_url: str) -> AsyncIterator[ForkedProcess]:
    """A `backroom worker`; it must stop cleanly."""
    settings = {"DATABASE_URL": database_url, "BACKROOM_MASTER_KEY": MASTER_KEY, "LOG_FORMAT": "json"}
    process = await forked("server", "worker", environment={**os.environ, **settings})
    try:
        yield process
        process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(process.wait(), 300) == 0
    finally:
        process.kill()
        await process.wait()


async def test_jobs_are_listed_and_one_that_failed_is_retried(
    database: Database, database_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Waiting, running and failed ones, with their subject and attempts; only failed ones can be retried."""
    async with database.store(FRAME).transaction() as tx:
        await tx.jobs.defer([Job("commerce.pay", {"payment_id": f"payment-{number}"}) for number in range(3)])
    with psycopg.connect(database_url) as connection:
        connection.execute("UPDATE procrastinate_jobs SET status = 'doing' WHERE args ->> 'payment_id' = 'payment-1'")
        failed = (
            "UPDATE procrastinate_jobs SET status = 'failed', attempts = 20 WHERE args ->> 'payment_id' = 'payment-2'"
        )
        connection.execute(failed)

    async def run(*arguments: str) -> Finished:
        return await asyncio.to_thread(backroom_here, capsys, *arguments, DATABASE_URL=database_url, COLUMNS="120")

    listed = (await run("jobs")).out.splitlines()
    told = {line.split()[-1]: line.split()[2:4] for line in listed[1:4]}
    assert told == {"payment-0": ["waiting", "0"], "payment-1": ["running", "0"], "payment-2": ["failed", "20"]}
    assert listed[4] == "1 failed, 1 running, 1 waiting"
    number = next(line.split()[0] for line in listed if "failed" in line and "payment-2" in line)
    assert (await run("jobs", "retry", number)).out == f"job {number} is in the queue again\n"
    again = await run("jobs", "retry", number)
    assert (again.code, again.err) == (
        1,
        f"backroom: job {number}: there is none that has failed; backroom jobs lists them\n",
    )


async def test_periodic_jobs_are_listed_with_the_time_at_which_they_were_due(
    database_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Their one argument is a number; others may have any JSON type."""
    with psycopg.connect(database_url) as connection:
        put = "INSERT INTO procrastinate_jobs (queue_name, task_name, args) VALUES ('frame', %s, %s::jsonb)"
        connection.execute(put, ["frame.take_up", '{"timestamp": 1795998005}'])
        connection.execute(put, ["test.odd", '{"n": 1, "none": null, "list": ["a"], "yes": true}'])

    def run(*arguments: str) -> Finished:
        return backroom_here(capsys, *arguments, DATABASE_URL=database_url, COLUMNS="120")

    listed = await asyncio.to_thread(run, "jobs")
    assert (listed.code, listed.err) == (0, "")
    _, periodic, odd, _ = listed.out.splitlines()
    assert periodic.split()[1:] == ["frame.take_up", "waiting", "0", "due", "2026-11-30", "00:20:05", "UTC"]
    assert odd.split()[1:] == ["test.odd", "waiting", "0", "1", "true", '["a"]']
    found = json.loads((await asyncio.to_thread(run, "jobs", "--json")).out)
    assert found["more"] is False
    assert [job["args"] for job in found["jobs"]] == [
        {"timestamp": 1795998005},
        {"n": 1, "none": None, "list": ["a"], "yes": True},
    ]
    first = {name: value for name, value in found["jobs"][0].items() if name not in ("id", "args")}
    assert first == {"task": "frame.take_up", "state": "waiting", "tries": 0, "not_before": None}


@pytest.mark.slow
async def test_an_empty_queue_is_reported_in_words(database_url: str) -> None:
    """Rather than as an empty table."""
    ended = await backroom("jobs", DATABASE_URL=database_url)
    assert (ended.code, ended.out) == (0, "no job waits, runs or has failed\n")


@pytest.mark.slow
async def test_a_server_without_a_worker_leaves_the_jobs_to_a_worker(database: Database, database_url: str) -> None:
    """An acknowledged change waits in the queue until a worker runs."""
    async with serving(database_url, "--no-worker", BACKROOM_WEBHOOK_SOURCES=SETTING) as server:
        post = Post("billing", standard(b"{}", at=int(time.time())))
        assert (await sent(server.http_port, post)).status == 204
        async with database.store(FRAME).reading() as tx:
            assert [job.task for job in await tx.jobs.list_undone(10)] == ["webhooks.republish"]
        async with working(database_url):
            events = await eventually(lambda: published(database), bool)
            assert [event["type"] for event in events] == ["received.billing"]

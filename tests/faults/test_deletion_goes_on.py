"""kill -9 of the worker between two parts of a person's data: another continues there, and all is erased."""

import asyncio
import os
import signal

import pytest
from prometheus_client import CollectorRegistry

from backroom.identity.v1 import profiles_pb2
from server.frame.jobs import Worker
from storage.database import Database
from tests.commerce.goods import cancelled, placed, stocked
from tests.fixtures.applications import QUIET
from tests.fixtures.forking import forked
from tests.fixtures.servers import quick_passwords, running
from tests.fixtures.trading import eventually
from tests.identity.ending import deleted, deletion_of, due_at_once, found_anywhere, person
from tests.identity.people import kept
from tests.invariants import assert_whole

DONE = profiles_pb2.AccountDeletion.STATE_DONE


async def killed(database_url: str, count: int) -> None:
    """Lets a worker run the jobs, and die once it has erased so many parts."""
    where = (database_url, "http://127.0.0.1:1", "key", f"erased {count}")
    process = await forked("tests.faults.dying_worker", *where, environment=os.environ)
    try:
        assert await asyncio.wait_for(process.wait(), 300) == -signal.SIGKILL
    finally:
        process.kill()


@pytest.mark.parametrize("count", [1, 3])
async def test_a_deletion_is_continued_where_its_worker_died(database: Database, database_url: str, count: int) -> None:
    """Whole in the end, and told once."""
    async with running(database, passwords=quick_passwords()) as server:
        admin = await server.sign_in("admin", "manager", "staff")
        await stocked(admin, "TEA", 10)
        ada = await person(server, "planted@example.com")
        order = await placed(ada, ("TEA", 1), reference="planted@example.com")
        await cancelled(ada, order, reason="planted@example.com moved")
        await deleted(ada)
        await due_at_once(database)
        await killed(database_url, count)
        found = await deletion_of(admin, ada.account_id)
        assert (len(found.erased_parts), found.state == DONE) == (count - 1, False)
        tasks, registry = server.application.tasks, CollectorRegistry()
        worker = Worker(database_url, tasks, QUIET, registry, heartbeat_seconds=0.05, stalled_after_seconds=0.1)
        worker.start()
        await eventually(lambda: deletion_of(admin, ada.account_id), lambda found: found.state == DONE)
        await worker.stop()
        assert await found_anywhere(database, ["planted@example.com"]) == set()
        assert (await kept(database, "frame.events")).count("account.deleted") == 1
        await assert_whole(database)

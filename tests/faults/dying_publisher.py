"""A worker that is killed while it publishes what is due: run as a separate process.

python -m tests.faults.dying_publisher DATABASE_URL POINT

POINT is "before" the first article of a schedule is published, "within", between the first and the second, or "after"
all of them have been committed.
"""

import asyncio
import os
import sys
from typing import Any
from uuid import UUID

import uvloop

from server.articles.service import publishing
from server.articles.service.publishing import Publishing
from server.frame.jobs import Worker
from storage.database import Database
from tests.faults.dying_worker import die
from tests.fixtures.applications import QUIET, application_of
from tests.fixtures.keys import MASTER_KEYS


def die_at(point: str) -> None:
    go_live, publish_schedule = publishing.go_live, Publishing._publish_schedule
    passed = 0

    async def dying(*args: Any) -> Any:
        nonlocal passed
        if point == ("before", "within")[min(passed, 1)]:
            die()
        passed += 1
        return await go_live(*args)

    async def dying_after(self: Publishing, schedule_id: UUID) -> int:
        count = await publish_schedule(self, schedule_id)
        if point == "after" and count:
            die()
        return count

    publishing.go_live = dying  # type: ignore[assignment]  # which takes what it takes
    Publishing._publish_schedule = dying_after  # type: ignore[method-assign]


async def main(database_url: str, point: str) -> None:
    die_at(point)
    database = Database(database_url, audit_key=MASTER_KEYS.audit_key)
    application = application_of(database, QUIET)
    Worker(database_url, application.tasks, QUIET, application.registry).start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main(*sys.argv[1:]))

"""kill -9 right after a webhook was answered: it is processed, once."""

import json
import time
from uuid import uuid4

import pytest
from prometheus_client import CollectorRegistry

from server.frame.jobs import Worker
from storage.database import Database
from tests.commerce.books import run
from tests.fixtures.applications import QUIET, application_of
from tests.fixtures.processes import serving
from tests.invariants import assert_whole
from tests.webhooks.http import Post, sent
from tests.webhooks.kept import kept, published
from tests.webhooks.senders import SETTING, standard

SLOWED = """
    CREATE FUNCTION slowed() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(5); RETURN NEW; END';
    CREATE TRIGGER slowed BEFORE UPDATE ON frame.inbox FOR EACH ROW EXECUTE FUNCTION slowed()
"""
"""What was received takes long to be noted as done: however busy the machine is, the kill comes before."""
LEFT_BEHIND = """
    SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity
    WHERE datname = current_database() AND wait_event = 'PgSleep'
"""


@pytest.mark.parametrize("kills", [3, pytest.param(50, marks=pytest.mark.proof)])
async def test_an_answered_webhook_is_processed_though_the_server_is_killed(
    database: Database, database_url: str, kills: int
) -> None:
    """The next server processes what the killed ones had acknowledged; a kill that came too late does not count."""
    acknowledged: list[str] = []
    await run(database, SLOWED)
    for _ in range(kills):
        event_id = f"evt_{uuid4().hex}"
        async with serving(database_url, BACKROOM_WEBHOOK_SOURCES=SETTING, BACKROOM_MODULES="webhooks") as server:
            post = Post("billing", standard(b"{}", event_id=event_id, at=int(time.time())))
            answered = await sent(server.http_port, post)
            server.process.kill()
            await server.process.wait()
        await run(database, LEFT_BEHIND)
        assert answered.status == 204
        acknowledged.append(event_id)
    assert not [row for row in (await kept(database)).received if row["process_time"]]
    await run(database, "DROP FUNCTION slowed CASCADE")
    await run(database, "UPDATE procrastinate_workers SET last_heartbeat = now() - interval '1 minute'")
    application = application_of(database, QUIET)
    await Worker(database_url, application.tasks, QUIET, CollectorRegistry()).run_due()
    found = await kept(database)
    assert {row["event_id"] for row in found.received if row["process_time"]} == set(acknowledged)
    events = [json.loads(event["data"])["event_id"] for event in await published(database)]
    assert sorted(events) == sorted(acknowledged)
    await assert_whole(database)
    await application.finish()

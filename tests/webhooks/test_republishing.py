"""Received webhooks are published to our own callers, each event once, and are not kept forever."""

import asyncio
import base64
import json
from datetime import timedelta

import pytest

from server.frame.jobs import Worker
from server.frame.retention import RETENTION, retention_tasks
from server.webhooks.service import Inbox
from storage.database import Database
from storage.errors import StoreUnavailable
from storage.frame.records import ReceivedEvent
from storage.frame.repository import EventRepository
from storage.store import FRAME
from storage.webhooks.store import WEBHOOKS
from tests.fixtures.applications import QUIET
from tests.fixtures.servers import Running
from tests.webhooks.http import Post, sent
from tests.webhooks.kept import kept, published
from tests.webhooks.senders import NOW, github, standard


def inbox(database: Database) -> Inbox:
    return Inbox(database.store(WEBHOOKS), (), {}, lambda: NOW)


async def added(database: Database, *batch: ReceivedEvent) -> None:
    async with database.store(FRAME).transaction() as tx:
        assert len(await tx.inbox.add(batch)) == len(batch)


def received(event_id: str, body: bytes = b"{}", *, age: timedelta = timedelta()) -> ReceivedEvent:
    return ReceivedEvent("billing", event_id, body, NOW - age)


async def test_a_job_publishes_a_received_event(receiver: Running, database: Database, database_url: str) -> None:
    """Its body as text if it is text, and otherwise in base64; each with its own subject."""
    bodies = {"billing": 'ä\0"\n'.encode(), "github": b"\xff\xfe"}
    for source, headers in (("billing", standard(bodies["billing"])), ("github", github(bodies["github"]))):
        assert (await sent(receiver.server.http_port, Post(source, headers, bodies[source]))).status == 204
    application = receiver.application
    await Worker(database_url, application.tasks, QUIET, application.registry).run_due()
    found = await published(database)
    assert [(each["type"], json.loads(each["data"]), each["create_time"]) for each in found] == [
        (f"received.{source}", {"source": source, "event_id": event_id, "encoding": encoding, "body": body}, NOW)
        for source, event_id, encoding, body in (
            ("billing", "msg_1", "text", 'ä\0"\n'),
            ("github", "72d3162e", "base64", base64.b64encode(b"\xff\xfe").decode()),
        )
    ]
    assert len({each["subject_id"] for each in found}) == 2
    left = await kept(database)
    assert ([row["process_time"] for row in left.received], left.jobs) == ([NOW, NOW], [])


async def test_an_event_is_published_once_however_often_its_job_runs(database: Database) -> None:
    """Concurrently or one after the other; a job whose event does not exist does nothing."""
    await added(database, received("a"))
    for _ in range(2):
        await asyncio.gather(*(inbox(database).republish("billing", "a") for _ in range(4)))
    await inbox(database).republish("billing", "none")
    assert [json.loads(each["data"])["event_id"] for each in await published(database)] == ["a"]


async def test_a_republishing_that_fails_leaves_nothing_behind(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither the mark nor the event, so that the next attempt does both."""
    await added(database, received("a"))

    async def fails(_self: EventRepository, _new: object) -> None:
        raise StoreUnavailable

    with monkeypatch.context() as patched:
        patched.setattr(EventRepository, "publish", fails)
        with pytest.raises(StoreUnavailable):
            await inbox(database).republish("billing", "a")
    assert (await kept(database)).received[0]["process_time"] is None
    await inbox(database).republish("billing", "a")
    assert len(await published(database)) == 1


async def test_processed_events_are_purged_after_a_month(database: Database) -> None:
    """Unprocessed ones are kept, however old."""
    day = timedelta(days=1)
    for event_id, age in (("old", RETENTION + day), ("waiting", RETENTION + day), ("young", RETENTION - day)):
        await added(database, received(event_id, age=age))
    async with database.store(FRAME).transaction() as tx:
        assert await tx.inbox.finish("billing", "old", NOW)
        assert await tx.inbox.finish("billing", "young", NOW)
    for task in retention_tasks(database.store(FRAME), lambda: NOW):
        await task.run()
    assert {row["event_id"] for row in (await kept(database)).received} == {"waiting", "young"}


async def test_the_repository_reports_new_events_and_completion(database: Database) -> None:
    """The first of several with one key is stored; an event belongs to one source; a missing one is not completed."""
    twice = [received("a", b"first"), received("a", b"second")]
    elsewhere = ReceivedEvent("github", "a", b"elsewhere", NOW)
    async with database.store(FRAME).transaction() as tx:
        assert await tx.inbox.add([]) == set()
        assert await tx.inbox.add(twice) == {("billing", "a")}
        assert await tx.inbox.add([elsewhere, *twice]) == {("github", "a")}
        assert await tx.inbox.find("billing", "a") == b"first"
        assert await tx.inbox.find("github", "a") == b"elsewhere"
        assert await tx.inbox.find("billing", "b") is None
        assert await tx.inbox.finish("billing", "a", NOW)
        assert not await tx.inbox.finish("billing", "a", NOW)
        assert not await tx.inbox.finish("billing", "b", NOW)

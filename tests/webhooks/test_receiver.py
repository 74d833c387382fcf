"""What the door answers where an event cannot be kept: by stand-ins for what keeps it."""

import asyncio

import httpx
import pytest
import structlog
from prometheus_client import CollectorRegistry
from starlette.applications import Starlette
from starlette.routing import Route
from structlog.testing import LogCapture

from server.frame.errors import Contention, Stopping
from server.webhooks.receiver import WebhookReceiver
from server.webhooks.service import Inbox
from storage.database import Database
from storage.errors import StoreContention, StoreTimeout, StoreUnavailable
from storage.frame.records import ReceivedEvent
from storage.webhooks.store import WEBHOOKS
from tests.webhooks.senders import NOW, SOURCES, standard


async def answered(error: Exception | None, database: Database, log: LogCapture) -> httpx.Response:
    """The answer to a webhook that is signed as it should be, where keeping it raises this, or never ends."""

    async def receive(_event: ReceivedEvent) -> bool:
        if error is None:
            await asyncio.Event().wait()
        raise error or AssertionError

    logger = structlog.wrap_logger(None, [log], structlog.make_filtering_bound_logger(0))
    inbox = Inbox(database.store(WEBHOOKS), SOURCES, {}, lambda: NOW)
    door = WebhookReceiver(inbox, receive, CollectorRegistry(), logger, within=0.05)
    transport = httpx.ASGITransport(Starlette(routes=[Route("/webhooks/{source:path}", door)]))
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        return await client.post("/webhooks/billing", content=b"{}", headers=standard(b"{}"))


@pytest.mark.parametrize(
    "error", [Stopping(), Contention(), StoreContention(), StoreTimeout(), StoreUnavailable(), None], ids=repr
)
async def test_what_may_pass_is_answered_with_when_to_come_again(database: Database, error: Exception | None) -> None:
    """Also where there is no answer in time, since the sender would not wait for it."""
    log = LogCapture()
    answer = await answered(error, database, log)
    assert (answer.status_code, answer.text, answer.headers["retry-after"]) == (503, "try again", "2")
    assert [(line["log_level"], line["outcome"]) for line in log.entries] == [("info", "unavailable")]


async def test_what_nobody_foresaw_is_told_to_nobody_but_the_log(database: Database) -> None:
    """By its kind and where it came from, and without its text, which may quote the body."""
    log = LogCapture()
    answer = await answered(RuntimeError("whsec_secret"), database, log)
    assert (answer.status_code, answer.text) == (500, "something went wrong")
    (line,) = log.entries
    assert (line["log_level"], line["source"], line["outcome"]) == ("error", "billing", "failed")
    assert line["fault"].startswith("RuntimeError at ")
    assert "whsec_secret" not in repr(line)

"""The receiver's responses when an event cannot be stored, with a stand-in for the store."""

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
    """The response to a correctly signed webhook, if storing it raises this, or never ends."""

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
async def test_a_temporary_failure_says_when_to_retry(database: Database, error: Exception | None) -> None:
    """Also after a timeout, since the sender would not wait longer."""
    log = LogCapture()
    answer = await answered(error, database, log)
    assert (answer.status_code, answer.text, answer.headers["retry-after"]) == (503, "try again", "2")
    assert [(line["log_level"], line["outcome"]) for line in log.entries] == [("info", "unavailable")]


async def test_an_unexpected_error_is_shown_only_in_the_log(database: Database) -> None:
    """With its type and place, and without its text, which may quote the body."""
    log = LogCapture()
    answer = await answered(RuntimeError("whsec_secret"), database, log)
    assert (answer.status_code, answer.text) == (500, "something went wrong")
    (line,) = log.entries
    assert (line["log_level"], line["source"], line["outcome"]) == ("error", "billing", "failed")
    assert line["fault"].startswith("RuntimeError at ")
    assert "whsec_secret" not in repr(line)

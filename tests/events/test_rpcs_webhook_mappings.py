"""Webhooks that come in become events, by what is declared for their source."""

import json
import time
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from backroom.events.v1 import event_type_service_pb2, events_pb2, webhook_mappings_pb2
from backroom.events.v1 import webhook_mapping_service_pb2 as pb
from server.frame.jobs import Worker
from storage.database import Database
from tests.events.sending import stored
from tests.fixtures.applications import QUIET
from tests.fixtures.servers import Api, Running, quick_passwords, refusal, running
from tests.webhooks.http import Post, sent
from tests.webhooks.senders import SOURCES, github, standard

BODY = json.dumps({"kind": "paid", "at": 1769860800, "by": {"id": 17}, "total": 1.5}).encode()


def mapping(webhook_source: str = "billing", **changes: Any) -> webhook_mappings_pb2.WebhookMapping:
    given = {"type": "billing.{/kind}", "subject": "customer-{/by/id}", "time": "{/at}", **changes}
    return webhook_mappings_pb2.WebhookMapping(webhook_source=webhook_source, **given)


async def put(api: Api, wanted: webhook_mappings_pb2.WebhookMapping) -> webhook_mappings_pb2.WebhookMapping:
    request = pb.SetWebhookMappingRequest(webhook_mapping=wanted)
    found: webhook_mappings_pb2.WebhookMapping = (await api.webhook_mappings.SetWebhookMapping(request)).webhook_mapping
    return found


async def listed(api: Api) -> list[webhook_mappings_pb2.WebhookMapping]:
    """All of them, one to a page."""
    found: list[webhook_mappings_pb2.WebhookMapping] = []
    request = pb.ListWebhookMappingsRequest(page_size=1)
    while True:
        page = await api.webhook_mappings.ListWebhookMappings(request)
        found += page.webhook_mappings
        if not page.next_page_token:
            return found
        request.page_token = page.next_page_token


async def worked(server: Running, database_url: str) -> None:
    """What is queued is done, and then the log is collected from."""
    application = server.application
    await Worker(database_url, application.tasks, QUIET, CollectorRegistry()).run_due()
    (task,) = (each for each in application.tasks if each.name == "events.collect")
    await task.run()


async def test_a_webhook_is_an_event_once(database: Database, database_url: str) -> None:
    """However often it is sent; by its sender's id, and with what the mapping finds in its body."""
    async with running(database, passwords=quick_passwords(), sources=SOURCES) as server:
        admin = await server.sign_in("admin")
        await put(admin, mapping(data="/by"))
        for _ in range(2):
            headers = standard(BODY, at=int(time.time()))
            assert (await sent(server.server.http_port, Post("billing", headers, BODY))).status == 204
            await worked(server, database_url)
        (event,) = (await stored(admin)).values()
    assert (event.id, event.source, event.type) == ("msg_1", "/webhooks/billing", "billing.paid")
    assert (event.subject, event.time.seconds, event.data) == ("customer-17", 1769860800, '{"id": 17}')


async def test_a_webhook_that_cannot_be_mapped_is_refused_and_kept(database: Database, database_url: str) -> None:
    """Its reason says what was wrong; other sources are not touched."""
    async with running(database, passwords=quick_passwords(), sources=SOURCES) as server:
        admin = await server.sign_in("admin")
        await put(admin, mapping("github", type="push", subject="", time="{/pushed}"))
        assert (await sent(server.server.http_port, Post("github", github(BODY), BODY))).status == 204
        await worked(server, database_url)
        assert not await stored(admin)
        (refused,) = (
            await admin.event_types.ListRefusedEvents(event_type_service_pb2.ListRefusedEventsRequest())
        ).refused_events
    assert (refused.event.source, refused.reason) == ("/webhooks/github", events_pb2.REFUSAL_REASON_TIME_INVALID)
    assert refused.truncated


async def test_a_mapping_is_set_listed_and_taken_back(server: Running) -> None:
    """What is empty has its default; an etag that is not the current one is refused."""
    admin = await server.sign_in("admin")
    first = await put(admin, mapping("b"))
    assert first.source == "/webhooks/b"
    other = await put(admin, mapping("a", source="/billing"))
    assert await listed(admin) == [other, first]
    changed = await put(admin, mapping("b", type="x", etag=first.etag))
    assert (changed.type, changed.create_time) == ("x", first.create_time)
    assert (await refusal(put(admin, mapping("b", etag=first.etag)))).reason == "ETAG_MISMATCH"
    assert (await refusal(put(admin, mapping("c", etag=first.etag)))).reason == "ETAG_MISMATCH"
    stale = pb.DeleteWebhookMappingRequest(webhook_source="b", etag=first.etag)
    assert (await refusal(admin.webhook_mappings.DeleteWebhookMapping(stale))).reason == "ETAG_MISMATCH"
    await admin.webhook_mappings.DeleteWebhookMapping(pb.DeleteWebhookMappingRequest(webhook_source="b"))
    assert await listed(admin) == [other]
    gone = pb.DeleteWebhookMappingRequest(webhook_source="b")
    assert (await refusal(admin.webhook_mappings.DeleteWebhookMapping(gone))).reason == "WEBHOOK_MAPPING_NOT_FOUND"


@pytest.mark.parametrize(
    ("changes", "reason", "field"),
    [
        ({"type": "{/a"}, "FIELD_INVALID", "webhook_mapping.type"),
        ({"type": ""}, "FIELD_INVALID", "webhook_mapping.type"),
        ({"data": "x"}, "FIELD_INVALID", "webhook_mapping.data"),
        ({"source": "/backroom"}, "FIELD_INVALID", "webhook_mapping.source"),
        ({"webhook_source": "No source"}, "FIELD_INVALID", "webhook_mapping.webhook_source"),
        ({"webhook_source": "stripe"}, "WEBHOOK_SOURCE_TAKEN", None),
    ],
)
async def test_a_mapping_that_is_none_is_refused(
    changes: dict[str, str], reason: str, field: str | None, server: Running
) -> None:
    """By its field; and one of webhooks that another module acts on, which are not kept."""
    wanted = mapping()
    for name, value in changes.items():
        setattr(wanted, name, value)
    found = await refusal(put(await server.sign_in("admin"), wanted))
    assert (found.reason, [*found.fields]) == (reason, [field] if field else [])


async def test_there_are_so_many_mappings_and_no_more(server: Running) -> None:
    """The last one that fits can still be changed."""
    admin = await server.sign_in("admin")
    for number in range(100):
        await put(admin, mapping(f"s{number}"))
    assert (await refusal(put(admin, mapping("another")))).reason == "TOO_MANY_WEBHOOK_MAPPINGS"
    assert (await put(admin, mapping("s99", type="x"))).type == "x"

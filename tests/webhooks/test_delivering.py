"""Delivery attempts: what is sent, when it is sent again, and when an endpoint is given up."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks.webhooks import Webhook

from server.frame.editing import Edit
from server.webhooks.rules.answers import Answer, retry_after
from server.webhooks.rules.attempts import DISABLED_AFTER, SCHEDULE, Attempt, delivery_after
from server.webhooks.rules.relaying import sample_delivery
from server.webhooks.rules.signing import shown
from storage.database import Database
from storage.frame.records import NOBODY, AuditFilter
from storage.store import FRAME
from storage.webhooks.records import Delivery, DeliveryState, Endpoint, EndpointState
from tests.webhooks.outgoing import (
    CALLER,
    SECRET,
    Outbox,
    Subscriber,
    answer,
    listening,
    outbox_on,
    subscriber,
)

PENDING, SUCCEEDED, FAILED = DeliveryState.PENDING, DeliveryState.SUCCEEDED, DeliveryState.FAILED


@pytest.fixture
async def shop() -> AsyncIterator[Subscriber]:
    async with subscriber() as opened:
        yield opened


async def test_a_delivery_is_a_signed_post_of_the_event(outbox: Outbox, shop: Subscriber) -> None:
    """One POST of JSON, signed, under the delivery's id."""
    endpoint = await outbox.endpoint(f"{shop.url};v=1/a%20b?c=d")
    await outbox.happens("order.paid", data='{"order_id": "1"}')
    await outbox.relayed()
    (delivery,) = await outbox.sent(endpoint)
    after = await outbox.attempt(delivery)
    (heard,) = shop.heard
    assert heard.target == "/hook;v=1/a%20b?c=d"
    assert heard.headers["host"] == f"127.0.0.1:{shop.port}"
    assert heard.headers["user-agent"] == "Backroom-Webhooks"
    assert heard.headers["content-type"] == "application/json"
    assert heard.id == str(delivery.id)
    event = Webhook(shown(SECRET)).verify(heard.body, dict(heard.headers))
    assert (event["type"], event["data"]) == ("order.paid", {"order_id": "1"})
    assert datetime.fromisoformat(event["timestamp"]) == outbox.time
    assert (after.state, after.attempt_count, after.response_status, after.error) == (SUCCEEDED, 1, 200, "")
    assert (after.last_attempt_time, after.next_attempt_time) == (outbox.time, None)


async def test_a_failed_delivery_is_retried_until_it_is_given_up(outbox: Outbox, shop: Subscriber) -> None:
    """By the published schedule, each time under the same id and with the same bytes, and not before its time."""
    shop.answers = [answer(500)]
    delivery = await outbox.test_event(await outbox.endpoint(shop.url))
    for made, wait in enumerate(SCHEDULE[1:], 1):
        delivery = await outbox.attempt(delivery)
        assert (delivery.state, delivery.attempt_count, delivery.error) == (PENDING, made, "HTTP 500")
        assert delivery.next_attempt_time == outbox.time + wait
        await outbox.deliveries.attempt(delivery.id)  # too early
        assert len(shop.heard) == made
    delivery = await outbox.attempt(delivery)
    assert (delivery.state, delivery.attempt_count, delivery.next_attempt_time) == (FAILED, 10, None)
    assert {(heard.id, heard.body) for heard in shop.heard} == {(str(delivery.id), delivery.body.encode())}
    assert len({heard.headers["webhook-timestamp"] for heard in shop.heard}) == 10


@given(made=st.integers(0, 8), jitter=st.floats(0, 1, exclude_max=True))
def test_waits_vary_by_a_fifth(made: int, jitter: float) -> None:
    """So that deliveries that failed together are not retried together."""
    delivery, endpoint = some_delivery(attempt_count=made)
    now = delivery.create_time
    after = delivery_after(Attempt(delivery, now, Answer(500)), delivery, endpoint, now, jitter)
    assert after.next_attempt_time is not None
    assert 0.8 * SCHEDULE[made + 1] <= after.next_attempt_time - now <= 1.2 * SCHEDULE[made + 1]


@pytest.mark.parametrize(
    ("status", "asked", "waited"),
    [
        (429, "120", 120),
        (503, "120", 120),
        (503, "1", 5),
        (503, "1000000", 86_400),
        (503, "99999999999999999999999", 86_400),
        (503, "soon", 5),
        (503, "-1", 5),
        (503, "Fri, 31 Dec 9999 23:59:59 GMT", 86_400),
        (503, "Mon, 01 Jan 2001 00:00:00 GMT", 5),
        (503, "Friday, 31-Dec-68 23:59:59 GMT", 86_400),
        (503, "Fri Dec 31 23:59:59 9999", 86_400),
        (503, "Wed, 21 Oct 99999999999999999999 07:28:00 GMT", 5),
        (503, "Wed, 21 Oct 2099 99:28:00 GMT", 5),
        (503, "Fri, 31 Dec 9999 23:59:59 -9999", 5),
        (503, "Fri, 31 Dec 9999 23:59:59 -99999999999999999999", 5),
        (503, "Mon, 01 Jan 0001 00:00:00 +2359", 5),
        (503, timedelta(seconds=90), 90),
        (500, "120", 5),
    ],
)
def test_retry_after_is_respected_up_to_a_day(status: int, asked: Any, waited: float) -> None:
    """For a busy endpoint; an unreadable value, or one shorter than the schedule, changes nothing."""
    delivery, endpoint = some_delivery()
    now = delivery.create_time.replace(microsecond=0)
    header = format_datetime(now + asked, usegmt=True) if isinstance(asked, timedelta) else asked
    after = delivery_after(Attempt(delivery, now, Answer(status, retry_after(header))), delivery, endpoint, now, 0.5)
    assert after.next_attempt_time == now + timedelta(seconds=waited)


async def test_retry_after_is_read_in_any_spelling(outbox: Outbox, shop: Subscriber) -> None:
    """A header's name may be in letters of any case."""
    for name in ("Retry-After", "retry-after"):
        shop.answers = [answer(503, **{name: "120"})]
        delivery = await outbox.attempt(await outbox.test_event(await outbox.endpoint(shop.url)))
        assert delivery.next_attempt_time == outbox.time + timedelta(seconds=120)


@pytest.mark.parametrize(
    "header",
    [
        "Wed, 21 Oct 99999999999999999999 07:28:00 GMT",
        "Fri, 31 Dec 9999 23:59:59 -9999",
        "Wed, 21 Oct 2099 07:28:00 +99999999999",
        "9" * 5000,
    ],
)
async def test_an_attempt_is_counted_whatever_its_response(outbox: Outbox, shop: Subscriber, header: str) -> None:
    """And the endpoint is disabled at its time."""
    shop.answers = [answer(503, **{"Retry-After": header})]
    endpoint = await outbox.endpoint(shop.url)
    delivery = await outbox.attempt(await outbox.test_event(endpoint))
    assert (delivery.state, delivery.attempt_count, delivery.response_status) == (PENDING, 1, 503)
    outbox.moves(days=5)
    await outbox.attempt(await outbox.test_event(endpoint))
    assert not (await outbox.endpoint_now(endpoint)).enabled


@given(header=st.text())
def test_no_header_can_break_the_schedule(header: str) -> None:
    """Whatever it holds, the next attempt is made, within a day."""
    delivery, endpoint = some_delivery()
    now = delivery.create_time
    after = delivery_after(Attempt(delivery, now, Answer(503, retry_after(header))), delivery, endpoint, now, 0.5)
    assert after.next_attempt_time is not None
    assert timedelta(seconds=5) <= after.next_attempt_time - now <= timedelta(days=1)


def some_delivery(**fields: Any) -> tuple[Delivery, Endpoint]:
    now = datetime(2026, 3, 1, tzinfo=UTC)
    endpoint = Endpoint(uuid4(), "https://example.com", "", (), EndpointState.ENABLED, "", None, 1, now, now)
    return replace(sample_delivery(endpoint, uuid4(), now), **fields), endpoint


@pytest.mark.parametrize("status", [201, 204, 299])
async def test_any_2xx_is_success(outbox: Outbox, shop: Subscriber, status: int) -> None:
    """Also without a body."""
    shop.answers = [answer(status)]
    delivery = await outbox.attempt(await outbox.test_event(await outbox.endpoint(shop.url)))
    assert (delivery.state, delivery.response_status) == (SUCCEEDED, status)


async def test_a_redirect_is_a_failure(outbox: Outbox, shop: Subscriber) -> None:
    """It is not followed."""
    async with subscriber() as other:
        shop.answers = [answer(307, location=other.url)]
        delivery = await outbox.attempt(await outbox.test_event(await outbox.endpoint(shop.url)))
        assert (delivery.state, delivery.error) == (PENDING, "HTTP 307")
        assert other.heard == []


async def test_only_the_status_of_a_response_is_stored(outbox: Outbox, shop: Subscriber) -> None:
    """Its body, which may be long or endless, is neither waited for nor stored."""
    shop.answers = [b"HTTP/1.1 500 hunter2\r\ncontent-length: 1000000000\r\n\r\n" + b"hunter2" * 10_000]
    delivery = await outbox.attempt(await outbox.test_event(await outbox.endpoint(shop.url)))
    assert (delivery.response_status, delivery.error) == (500, "HTTP 500")
    assert "hunter2" not in repr(delivery)


@pytest.mark.parametrize(
    ("said", "error"),
    [(b"", "connection lost"), (b"hunter2\r\n\r\n", "no valid HTTP"), (b"HTTP/1.1 200 OK\r\n", "connection lost")],
)
async def test_an_invalid_response_is_reported_in_our_own_words(outbox: Outbox, said: bytes, error: str) -> None:
    """The connection ends after these bytes."""

    async def cut(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(said)
        writer.close()

    async with listening(cut) as port:
        url = f"http://127.0.0.1:{port}"
        delivery = await outbox.attempt(await outbox.test_event(await outbox.endpoint(url)))
        assert (delivery.response_status, delivery.error) == (0, error)
    delivery = await outbox.attempt(delivery)
    assert (delivery.attempt_count, delivery.error) == (2, "connection refused")


async def test_an_attempt_has_a_timeout(database: Database) -> None:
    """For an endpoint that responds slowly, and for one that sends a byte now and then."""
    async with outbox_on(database, limit=0.3) as outbox, subscriber(b"") as silent:
        delivery = await outbox.attempt(await outbox.test_event(await outbox.endpoint(silent.url)))
        assert (delivery.state, delivery.error) == (PENDING, "timed out")
        silent.answers = [b"HTTP/1.1 200 OK\r\n"]
        delivery = await outbox.attempt(delivery)
        assert (delivery.attempt_count, delivery.error) == (2, "timed out")


async def test_an_attempt_holds_no_database_connection(outbox: Outbox) -> None:
    """More attempts are under way than there are connections, and the database responds."""
    async with subscriber(b"") as silent:
        endpoint = await outbox.endpoint(silent.url)
        events = [await outbox.test_event(endpoint) for _ in range(8)]
        attempts = [asyncio.create_task(outbox.deliveries.attempt(event.id)) for event in events]
        async with asyncio.timeout(10):
            while len(silent.heard) < 8:  # noqa: ASYNC110 - what is heard is a plain list
                await asyncio.sleep(0.005)
            assert await outbox.endpoint_now(endpoint) == endpoint
        for attempt in attempts:
            attempt.cancel()
        await asyncio.gather(*attempts, return_exceptions=True)


async def test_after_a_rotation_both_secrets_sign_for_a_day(outbox: Outbox, shop: Subscriber) -> None:
    """The new one first; then only the new one."""
    endpoint = await outbox.endpoint(shop.url)
    await outbox.endpoints.rotate(CALLER, endpoint.id, outbox.ask)
    await outbox.attempt(await outbox.test_event(endpoint))
    outbox.moves(hours=24)
    await outbox.attempt(await outbox.test_event(endpoint))
    assert [len(heard.headers["webhook-signature"].split()) for heard in shop.heard] == [2, 1]


async def test_410_disables_the_endpoint_at_once(outbox: Outbox, shop: Subscriber) -> None:
    """Its remaining deliveries fail with it, and other endpoints are notified."""
    shop.answers = [answer(410)]
    gone, other = await outbox.endpoint(shop.url), await outbox.endpoint()
    first, second = await outbox.test_event(gone), await outbox.test_event(gone)
    first = await outbox.attempt(first)
    assert (first.state, first.response_status, first.error) == (FAILED, 410, "HTTP 410")
    second = await outbox.found(second)
    assert (second.state, second.attempt_count, second.error) == (FAILED, 0, "endpoint disabled")
    disabled = await outbox.endpoint_now(gone)
    assert (disabled.enabled, disabled.version) == (False, gone.version + 1)
    assert "410" in disabled.disabled_reason
    await outbox.relayed()
    (told,) = await outbox.sent(other)
    body = json.loads(told.body)
    assert (body["type"], body["data"]["endpoint_id"]) == ("webhook.endpoint_disabled", str(gone.id))
    assert shop.url not in told.body
    # It is recorded under the job's name, since no caller requested it.
    async with outbox.database.store(FRAME).reading() as tx:
        (recorded,) = await tx.audit.list_latest(AuditFilter(action="webhooks.deliver"), before=None, limit=10)
    assert (recorded.entry.caller_id, recorded.entry.resource) == (NOBODY, f"endpoint/{gone.id}")


async def test_an_endpoint_that_fails_for_five_days_is_disabled(outbox: Outbox, shop: Subscriber) -> None:
    """Counted from the first failure after the last success, whatever the events."""
    shop.answers = [answer(500)]
    endpoint = await outbox.endpoint(shop.url)
    await outbox.attempt(await outbox.test_event(endpoint))
    began = outbox.time
    assert (await outbox.endpoint_now(endpoint)).failing_since == began
    outbox.time = began + DISABLED_AFTER - timedelta(seconds=1)
    await outbox.attempt(await outbox.test_event(endpoint))
    known = await outbox.endpoint_now(endpoint)
    assert (known.enabled, known.failing_since) == (True, began)
    outbox.moves(seconds=1)
    last = await outbox.attempt(await outbox.test_event(endpoint))
    disabled = await outbox.endpoint_now(endpoint)
    assert not disabled.enabled
    assert disabled.disabled_reason.endswith("the last one with: HTTP 500")
    assert (last.state, [delivery.state for delivery in await outbox.sent(endpoint)]) == (FAILED, [FAILED] * 3)
    edit = Edit(endpoint.id, "", {"state": EndpointState.ENABLED})
    enabled = await outbox.endpoints.edit(edit, CALLER, outbox.ask)
    assert (enabled.enabled, enabled.disabled_reason, enabled.failing_since) == (True, "", None)


async def test_a_success_resets_the_failures(outbox: Outbox, shop: Subscriber) -> None:
    """The five days start again at the next failure."""
    shop.answers = [answer(500), answer(200), answer(500)]
    endpoint = await outbox.endpoint(shop.url)
    for failing in (True, False, True):
        outbox.moves(days=4)
        await outbox.attempt(await outbox.test_event(endpoint))
        since = (await outbox.endpoint_now(endpoint)).failing_since
        assert since == (outbox.time if failing else None)


async def test_an_attempt_that_is_made_twice_counts_once(outbox: Outbox, shop: Subscriber) -> None:
    """As after a worker was wrongly taken for dead: the schedule continues as after one."""
    shop.answers = [answer(500)]
    arrived = asyncio.Barrier(3)

    async def all_at_once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await arrived.wait()
        await shop.take(reader, writer)

    async with listening(all_at_once) as port:
        delivery = await outbox.test_event(await outbox.endpoint(f"http://127.0.0.1:{port}"))
        await asyncio.gather(*(outbox.deliveries.attempt(delivery.id) for _ in range(3)))
    after = await outbox.found(delivery)
    assert len(shop.heard) == 3
    assert (after.attempt_count, after.next_attempt_time) == (1, outbox.time + SCHEDULE[1])


async def test_a_redelivery_requested_during_an_attempt_is_sent(outbox: Outbox, shop: Subscriber) -> None:
    """Although that attempt succeeds."""
    delivery = await outbox.test_event(await outbox.endpoint(shop.url))
    heard = asyncio.Event()
    answered = asyncio.Event()

    async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.set()
        await answered.wait()
        await shop.take(reader, writer)

    async with listening(slow) as port:
        url = f"http://127.0.0.1:{port}"
        await outbox.endpoints.edit(Edit(delivery.endpoint_id, "", {"url": url}), CALLER, outbox.ask)
        attempt = asyncio.create_task(outbox.deliveries.attempt(delivery.id))
        await heard.wait()
        outbox.moves(seconds=1)
        await outbox.endpoints.redeliver(delivery.id, outbox.ask)
        answered.set()
        await attempt
        after = await outbox.found(delivery)
        assert (after.state, after.attempt_count, after.next_attempt_time) == (PENDING, 1, outbox.time)
        after = await outbox.attempt(after)
        assert (after.state, after.attempt_count, len(shop.heard)) == (SUCCEEDED, 2, 2)


async def test_a_deleted_endpoint_is_sent_nothing_more(outbox: Outbox, shop: Subscriber) -> None:
    """Its deliveries are deleted, and a job for one of them ends."""
    delivery = await outbox.test_event(await outbox.endpoint(shop.url))
    await outbox.endpoints.delete(delivery.endpoint_id, outbox.ask)
    await outbox.deliveries.attempt(delivery.id)
    assert shop.heard == []

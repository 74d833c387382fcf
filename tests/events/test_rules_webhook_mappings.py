"""Webhooks as Stripe, GitHub and others send them become events."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from server.events.rules.judging import micros
from server.events.rules.malformed import Malformed
from server.events.rules.own_events import own_event
from server.events.rules.webhook_mappings import Received, mapped, mapping_problems, received
from server.webhooks.rules.relaying import received_event
from storage.events.encoding import refused_id
from storage.events.records import RefusalReason, SentEvent, WebhookMapping
from storage.frame.records import LoggedEvent

NOW = datetime(2026, 1, 31, 12, 0, 0, tzinfo=UTC)
STRIPE = WebhookMapping(
    webhook_source="stripe-eu",
    source="/webhooks/stripe-eu",
    type="stripe.{/type}",
    subject="{/data/object/customer}",
    time="{/created}",
    id="",
    data="/data/object",
    version=1,
    create_time=NOW,
    update_time=NOW,
)
BODY = b"""{"id": "evt_1", "type": "charge.succeeded", "created": 1769860800,
 "data": {"object": {"customer": "cus_7", "amount": 10.50, "rate": 0.100000000000000000001}}}"""


def event(mapping: WebhookMapping, body: bytes) -> SentEvent:
    found = mapped(mapping, Received("evt_1", body, NOW))
    assert not isinstance(found, Malformed), found
    return found


def problem(mapping: WebhookMapping, body: bytes) -> Malformed:
    found = mapped(mapping, Received("evt_1", body, NOW))
    assert isinstance(found, Malformed), found
    return found


def test_pointers_find_each_part_of_an_event() -> None:
    """With the digits of its data as the sender wrote them."""
    assert event(STRIPE, BODY) == SentEvent(
        "evt_1",
        "/webhooks/stripe-eu",
        "stripe.charge.succeeded",
        "cus_7",
        1769860800 * 1_000_000,
        '{"customer": "cus_7", "amount": 10.50, "rate": 0.100000000000000000001}',
        {},
    )


@pytest.mark.parametrize(
    ("time", "expected"),
    [
        ('"2026-01-31T12:00:00.5Z"', datetime(2026, 1, 31, 12, 0, 0, 500_000, UTC)),
        ("1769860800.25", datetime(2026, 1, 31, 12, 0, 0, 250_000, UTC)),
        ("1769860800250", datetime(2026, 1, 31, 12, 0, 0, 250_000, UTC)),
    ],
)
def test_a_time_is_read_in_three_forms(time: str, expected: datetime) -> None:
    """As RFC 3339 has it, in seconds, and in milliseconds."""
    assert event(STRIPE, BODY.replace(b"1769860800", time.encode())).time == micros(expected)


def test_what_is_not_there_is_empty_or_the_senders() -> None:
    """A webhook without a customer has no subject; without a rule for it, the time is when it came in."""
    bare = replace(STRIPE, type="ping", time="", id="{/nothing}", data="/data/nothing")
    found = event(bare, b'{"data": {"object": {"customer": null}}}')
    assert found == SentEvent("evt_1", "/webhooks/stripe-eu", "ping", "", micros(NOW), "", {})


def test_pointers_lead_through_lists_and_odd_names() -> None:
    """As RFC 6901 has it: ~1 is a slash and ~0 a tilde; of a name that is there twice the last one counts."""
    odd = replace(STRIPE, type="{/a~1b/1/~0}-{/on}", subject="", time="", data="")
    body = b' {"a/b": [0, {"~": "x"}], "on": false, "on": true} '
    assert event(odd, body).type == "x-true"
    assert event(odd, body).data == body.decode().strip()
    for pointer in ("/a~1b/01", "/a~1b/2", "/a~1b/-", "/a~1b/x", "/on/x"):
        assert event(replace(odd, type=f"t{{{pointer}}}"), body).type == "t"


@pytest.mark.parametrize(
    ("mapping", "body", "reason", "said"),
    [
        (STRIPE, b"a=1", RefusalReason.DATA_MALFORMED, "is not JSON"),
        (STRIPE, b"\xff", RefusalReason.DATA_MALFORMED, "is not JSON"),
        (STRIPE, b"[" * 100_000, RefusalReason.DATA_MALFORMED, "is not JSON"),
        (STRIPE, BODY.replace(b"1769860800", b'"noon"'), RefusalReason.TIME_INVALID, "time: is neither"),
        (STRIPE, BODY.replace(b"1769860800", b"17698608001234"), RefusalReason.TIME_INVALID, "time: is neither"),
        (STRIPE, BODY.replace(b'"created"', b'"made"'), RefusalReason.TIME_INVALID, "time: is neither"),
        (replace(STRIPE, subject="{/data}"), BODY, RefusalReason.FIELD_INVALID, "/data is no text"),
        (STRIPE, BODY.replace(b"cus_7", b"\\ud83d"), RefusalReason.FIELD_INVALID, "/data/object/customer is no text"),
        (STRIPE, BODY.replace(b"charge.", b"\\udc00"), RefusalReason.FIELD_INVALID, "/type is no text"),
        (STRIPE, BODY.replace(b"1769860800", b'"\\ud83d"'), RefusalReason.FIELD_INVALID, "/created is no text"),
    ],
)
def test_what_cannot_be_mapped_says_why(mapping: WebhookMapping, body: bytes, reason: RefusalReason, said: str) -> None:
    """It is refused like any other event, kept, and never left out."""
    found = problem(mapping, body)
    assert (found.refused.reason, found.id) == (reason, "evt_1")
    assert said in found.refused.message
    assert refused_id(found)


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"type": "stripe.{/type"}, "type"),
        ({"type": "stripe.}"}, "type"),
        ({"subject": "{customer}"}, "subject"),
        ({"id": "{}"}, "id"),
        ({"time": "{/a~2}"}, "time"),
        ({"data": "data"}, "data"),
        ({"source": "/backroom/commerce"}, "source"),
        ({"source": "/backroom"}, "source"),
    ],
)
def test_a_mapping_that_is_none_is_refused_by_field(changed: dict[str, Any], field: str) -> None:
    """Before it is declared."""
    assert not list(mapping_problems(STRIPE))
    ((name, _),) = mapping_problems(replace(STRIPE, **changed))
    assert name == field


@pytest.mark.parametrize("body", [BODY, b"\xff\x00"])
def test_what_the_receiver_publishes_is_read(body: bytes) -> None:
    """Text or not."""
    published = received_event("stripe-eu", "evt_1", body, NOW)
    logged = LoggedEvent(7, published.type, published.subject_id, published.data, NOW)
    assert received(logged) == Received("evt_1", body, NOW)


def test_an_event_of_a_module_is_about_a_person_where_it_names_one() -> None:
    """Else about what it happened to, which is its attribute in either case; its id is never another one's."""
    order = UUID(int=1)
    logged = LoggedEvent(7, "order.paid", order, json.dumps({"customer_id": "anna"}), NOW)
    assert own_event(logged, "commerce") == SentEvent(
        f"7-{micros(NOW)}",
        "/backroom/commerce",
        "order.paid",
        "anna",
        micros(NOW),
        '{"customer_id": "anna"}',
        {"resource": str(order)},
    )
    for data in ('{"customer_id": ""}', "{}", "[]"):
        assert own_event(replace(logged, data=data), "commerce").subject == str(order)
    assert own_event(replace(logged, create_time=NOW.replace(second=1)), "commerce").id != f"7-{micros(NOW)}"

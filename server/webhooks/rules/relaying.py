"""From the log of events to deliveries: what is sent, and to whom."""

import base64
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from uuid import NAMESPACE_OID, UUID, uuid5

from server.frame.events import EventType
from server.webhooks.permissions import MANAGE
from storage.frame.records import Event, LoggedEvent
from storage.webhooks.records import Delivery, DeliveryState, Endpoint

TEST = "webhook.test"
DISABLED = "webhook.endpoint_disabled"
OWN_TYPES: Mapping[str, EventType] = {
    DISABLED: EventType(
        "An endpoint is sent to no more, because it failed for days or answered that it is gone.", (MANAGE,)
    ),
}
"""The events that this module adds to the log."""

MAX_PAGE_BYTES = 3 * 1024 * 1024
"""In bytes: how large the bodies may be together that are read for one page; more than the page takes, and any body."""

_PAGE_EVENTS = 1_000
_PAGE_DELIVERIES = 5_000


def page_size(endpoints: int) -> int:
    """How many events become deliveries in one transaction: so few that it stays short, however many endpoints."""
    return max(1, min(_PAGE_EVENTS, _PAGE_DELIVERIES // endpoints))


def is_subscribed(endpoint: Endpoint, event_type: str) -> bool:
    return not endpoint.event_types or event_type in endpoint.event_types


def deliveries_of(
    events: Iterable[LoggedEvent], endpoints: Sequence[Endpoint], new_id: Callable[[], UUID], now: datetime
) -> Sequence[Delivery]:
    """A delivery of each event to each endpoint that wants its type."""
    return [
        _delivery(new_id(), endpoint.id, event.sequence, event.type, body, now)
        for event in events
        for body in [_body(event.type, event.create_time, event.data)]
        for endpoint in endpoints
        if is_subscribed(endpoint, event.type)
    ]


def sample_delivery(endpoint: Endpoint, delivery_id: UUID, now: datetime) -> Delivery:
    body = _body(TEST, now, json.dumps({"endpoint_id": str(endpoint.id)}))
    return _delivery(delivery_id, endpoint.id, None, TEST, body, now)


def disabled_event(endpoint: Endpoint, now: datetime) -> Event:
    """Its URL is not shown to others: it may contain a secret of its owner's."""
    data = {
        "endpoint_id": str(endpoint.id),
        "description": endpoint.description,
        "disabled_reason": endpoint.disabled_reason,
        "failure_start_time": _timestamp(endpoint.failing_since) if endpoint.failing_since else None,
    }
    return Event(DISABLED, endpoint.id, json.dumps(data), now)


def _body(event_type: str, time: datetime, data: str) -> str:
    """What is sent; `data` is JSON already, and goes in as it is."""
    return f'{{"type":{json.dumps(event_type)},"timestamp":"{_timestamp(time)}","data":{data}}}'


def _timestamp(time: datetime) -> str:
    return time.astimezone(UTC).isoformat()


def _delivery(
    delivery_id: UUID, endpoint_id: UUID, sequence: int | None, event_type: str, body: str, now: datetime
) -> Delivery:
    event = (sequence, event_type, body)
    return Delivery(delivery_id, endpoint_id, *event, DeliveryState.PENDING, 0, now, None, 0, "", now)


def received_event(source: str, event_id: str, body: bytes, now: datetime) -> Event:
    """A webhook as an event: its body as it came where that is text, and otherwise in base64.

    Its subject is named by the source and the sender's id alone, so that it is the same wherever it is sent.
    """
    try:
        content, encoding = body.decode(), "text"
    except UnicodeDecodeError:
        content, encoding = base64.b64encode(body).decode(), "base64"
    data = {"source": source, "event_id": event_id, "encoding": encoding, "body": content}
    return Event(event_type(source), uuid5(NAMESPACE_OID, f"{source}/{event_id}"), json.dumps(data), now)


def event_type(source: str) -> str:
    return f"received.{source}"

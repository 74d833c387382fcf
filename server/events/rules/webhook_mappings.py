"""What the webhooks of a source become, by the rule that was declared for it."""

import base64
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from server.events.rules.cloud_events import NotACloudEvent, time_of
from server.events.rules.json_text import NotJson, found_at
from server.events.rules.judging import OWN_SOURCE, micros
from server.events.rules.malformed import Malformed
from server.events.rules.templates import NoText, filled, pointer_problem, template_problem
from storage.events.records import RefusalReason, SentEvent, WebhookMapping
from storage.frame.records import LoggedEvent

RECEIVED = "received."
"""What the type of a webhook's event in the log begins with, before its source."""
MAX_MAPPINGS = 100

_NUMBER = re.compile(r"(\d{1,13})(?:\.(\d{1,9}))?", re.ASCII)
_MILLISECONDS_DIGITS = 13
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Received:
    """A webhook as the log has it."""

    event_id: str
    """Its sender's."""
    body: bytes
    time: datetime
    """When it came in."""


def mapping_problems(mapping: WebhookMapping) -> Iterator[tuple[str, str]]:
    """What is wrong with a mapping: the field, and the problem."""
    for field in ("type", "subject", "time", "id"):
        if problem := template_problem(getattr(mapping, field)):
            yield field, problem
    if problem := pointer_problem(mapping.data):
        yield "data", problem
    if mapping.source == OWN_SOURCE or mapping.source.startswith(f"{OWN_SOURCE}/"):
        yield "source", f"{OWN_SOURCE} is the server's own"


def received(logged: LoggedEvent) -> Received:
    """A webhook that the receiver has published."""
    found = json.loads(logged.data)
    body = found["body"].encode() if found["encoding"] == "text" else base64.b64decode(found["body"])
    return Received(found["event_id"], body, logged.create_time)


def mapped(mapping: WebhookMapping, webhook: Received) -> SentEvent:
    """The event of a webhook."""
    unread = SentEvent(webhook.event_id, mapping.source, mapping.type, "", micros(webhook.time), "", {})
    try:
        body = webhook.body.decode()
        found_at(body, "")
    except (UnicodeDecodeError, NotJson):
        return Malformed.of(unread, RefusalReason.DATA_MALFORMED, "data: the webhook's body is not JSON")
    try:
        kind, subject, event_id = (filled(each, body) for each in (mapping.type, mapping.subject, mapping.id))
        time = filled(mapping.time, body)
    except NoText as problem:
        return Malformed.of(unread._replace(data=body), RefusalReason.FIELD_INVALID, str(problem))
    sent = unread._replace(
        id=event_id or webhook.event_id, type=kind, subject=subject, data=found_at(body, mapping.data) or ""
    )
    if not mapping.time:
        return sent
    try:
        return sent._replace(time=micros(_time(time)))
    except (NotACloudEvent, OverflowError):
        said = "time: is neither of the form 2026-01-31T12:00:00Z nor a number of seconds or milliseconds"
        return Malformed.of(sent, RefusalReason.TIME_INVALID, said)


def _time(text: str) -> datetime:
    """Raises NotACloudEvent, OverflowError."""
    number = _NUMBER.fullmatch(text)
    if number is None:
        return time_of(text)
    whole, fraction = number[1], f"{number[2] or '':0<6}"[:6]
    if len(whole) == _MILLISECONDS_DIGITS:
        return _EPOCH + timedelta(milliseconds=int(whole))
    return _EPOCH + timedelta(seconds=int(whole), microseconds=int(fraction))

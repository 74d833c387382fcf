"""What our own callers are told of the webhooks that came in."""

import base64
import json
from datetime import datetime
from uuid import NAMESPACE_OID, uuid5

from storage.frame.records import Event


def received_event(source: str, event_id: str, body: bytes, now: datetime) -> Event:
    """A webhook as an event: its body as it came where that is text, and otherwise in base64.

    Its subject is named by the source and the sender's id alone, so that it is the same wherever it is told.
    """
    try:
        content, encoding = body.decode(), "text"
    except UnicodeDecodeError:
        content, encoding = base64.b64encode(body).decode(), "base64"
    data = {"source": source, "event_id": event_id, "encoding": encoding, "body": content}
    return Event(event_type(source), uuid5(NAMESPACE_OID, f"{source}/{event_id}"), json.dumps(data), now)


def event_type(source: str) -> str:
    return f"received.{source}"

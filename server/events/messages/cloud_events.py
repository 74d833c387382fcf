"""CloudEvents in their protobuf format ↔ plain values."""

import base64
from datetime import UTC

from backroom.cloudevents.v1 import cloudevents_pb2 as pb2
from server.events.rules.cloud_events import (
    CONTENT_TYPE,
    NotACloudEvent,
    binary,
    cloud_event,
    data_of,
    malformed,
)
from storage.events.records import SentEvent

_FIELDS = frozenset(("id", "source", "specversion", "type"))
"""Attributes that have a field of their own."""


def cloud_event_of(message: pb2.CloudEvent) -> SentEvent:
    """One event, or what is wrong with it."""
    own = {"id": message.id, "source": message.source, "specversion": message.spec_version, "type": message.type}
    try:
        attributes = {name: _text(name, value) for name, value in message.attributes.items()}
        content_type = attributes.get(CONTENT_TYPE, "")
        return cloud_event({**attributes, **own}, _data(message, content_type))
    except NotACloudEvent as problem:
        return malformed({**own, "subject": message.attributes["subject"].ce_string}, "", problem)


def _text(name: str, value: pb2.CloudEventAttributeValue) -> str:
    """CloudEvents' canonical text of an attribute."""
    if name in _FIELDS:
        raise NotACloudEvent(f"{name}: is among the attributes, and has a field of its own")
    match value.WhichOneof("attr"):
        case "ce_boolean":
            return "true" if value.ce_boolean else "false"
        case "ce_integer":
            return str(value.ce_integer)
        case "ce_bytes":
            return base64.b64encode(value.ce_bytes).decode()
        case "ce_timestamp":
            try:
                return value.ce_timestamp.ToDatetime(UTC).isoformat().replace("+00:00", "Z")
            except (ValueError, OverflowError):
                raise NotACloudEvent(f"{name[:40]!a}: is of no year from 1 to 9999") from None
        case None:
            raise NotACloudEvent(f"{name[:40]!a}: has no value")
        case kind:
            return str(getattr(value, kind))


def _data(message: pb2.CloudEvent, content_type: str) -> str:
    match message.WhichOneof("data"):
        case "text_data":
            return data_of(message.text_data.encode(), content_type)
        case "binary_data":
            return data_of(message.binary_data, content_type)
        case "proto_data":
            packed = message.proto_data
            return binary(base64.b64encode(packed.value).decode(), **{"@type": packed.type_url})
        case _:
            return ""

"""One form of what can be written in several: ids in lower case, times well formed, nothing that the server sets."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from google.api import field_behavior_pb2
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from server.frame.contract import is_judged_one_by_one
from server.frame.errors import FieldViolation

_UUID = re.compile(r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")
_SECONDS = range(-62_135_596_800, 253_402_300_800)
"""Of a Timestamp: from 0001-01-01T00:00:00Z to 9999-12-31T23:59:59Z."""
_MAX_SECONDS = 315_576_000_000
"""Of a Duration, either way."""
_NANOS = 1_000_000_000
"""A second."""


@dataclass(frozen=True, slots=True)
class _Plan:
    """Which fields of a message type to look at, by name."""

    output_only: Sequence[str]
    ids: Sequence[str]
    lists_of_ids: Sequence[str]
    times: Sequence[str]
    messages: Sequence[str]
    lists_of_messages: Sequence[str]


def canonicalized(message: Message) -> Sequence[FieldViolation]:
    """Returns the Timestamps and Durations in a message that are malformed.

    Rewrites the UUIDs in its `*_id` fields in lower case, so that an id may be compared as text from here on, and
    clears what is output only: a resource can be sent back as it was read (AIP-203).
    What is judged one by one is left as it is.
    """
    malformed: list[FieldViolation] = []
    _canonicalize(message, "", malformed)
    return malformed


def same_id(text: str) -> str:
    """A UUID in lower case; any other text as it is."""
    lower = text.lower()
    return lower if lower != text and _UUID.fullmatch(text) else text


def _canonicalize(message: Message, prefix: str, malformed: list[FieldViolation]) -> None:
    plan = _plan_of(message.DESCRIPTOR)
    _respell(message, plan)
    for name in plan.times:
        if message.HasField(name) and (wrong := _malformed(getattr(message, name))):
            malformed += [FieldViolation(f"{prefix}{name}", wrong)]
    for name in plan.messages:
        if message.HasField(name):
            _canonicalize(getattr(message, name), f"{prefix}{name}.", malformed)
    for name in plan.lists_of_messages:
        for index, each in enumerate(getattr(message, name)):
            _canonicalize(each, f"{prefix}{name}[{index}].", malformed)


def _respell(message: Message, plan: _Plan) -> None:
    for name in plan.output_only:
        message.ClearField(name)
    for name in plan.ids:
        given = getattr(message, name)
        if (canonical := same_id(given)) != given:
            setattr(message, name, canonical)
    for name in plan.lists_of_ids:
        ids = getattr(message, name)
        ids[:] = [same_id(each) for each in ids]


@cache
def _plan_of(descriptor: Descriptor) -> _Plan:
    fields = [each for each in descriptor.fields if not is_output_only(each) and not is_judged_one_by_one(each)]
    ids = [each for each in fields if _is_id(each)]
    messages = [each for each in fields if each.message_type is not None and _holds_any(each.message_type, frozenset())]
    return _Plan(
        output_only=[each.name for each in descriptor.fields if is_output_only(each)],
        ids=[each.name for each in ids if not each.is_repeated],
        lists_of_ids=[each.name for each in ids if each.is_repeated],
        times=[each.name for each in fields if _is_time(each) and not each.is_repeated],
        messages=[each.name for each in messages if not each.is_repeated],
        lists_of_messages=[each.name for each in messages if each.is_repeated],
    )


def _holds_any(descriptor: Descriptor, above: frozenset[str]) -> bool:
    """Whether a message of this type, or one inside it, has a field to look at."""
    if not descriptor.full_name.startswith("backroom.") or descriptor.full_name in above:
        return False
    inside = above | {descriptor.full_name}
    return any(
        is_output_only(field)
        or _is_id(field)
        or _is_time(field)
        or (field.message_type is not None and _holds_any(field.message_type, inside))
        for field in descriptor.fields
    )


def behaviors_of(field: FieldDescriptor) -> Sequence[int]:
    """What the contract says of who sets a field (AIP-203)."""
    options: Any = field.GetOptions()
    behaviors: Sequence[int] = options.Extensions[field_behavior_pb2.field_behavior]
    return behaviors


def is_output_only(field: FieldDescriptor) -> bool:
    """Whether the server alone sets it."""
    return field_behavior_pb2.OUTPUT_ONLY in behaviors_of(field)


def _is_id(field: FieldDescriptor) -> bool:
    return field.type == FieldDescriptor.TYPE_STRING and field.name.endswith(("_id", "_ids"))


def _is_time(field: FieldDescriptor) -> bool:
    kind = field.message_type
    return kind is not None and kind.full_name in ("google.protobuf.Timestamp", "google.protobuf.Duration")


def _malformed(time: Timestamp | Duration) -> str:
    """What is wrong with it; empty where nothing is."""
    if isinstance(time, Timestamp):
        if time.seconds in _SECONDS and 0 <= time.nanos < _NANOS:
            return ""
        return "must be a time in the years 1 to 9999, with nanos from 0 to 999,999,999"
    if abs(time.seconds) <= _MAX_SECONDS and abs(time.nanos) < _NANOS and time.seconds * time.nanos >= 0:
        return ""
    return "must be from -315,576,000,000 to 315,576,000,000 seconds, with nanos of the same sign and below a second"

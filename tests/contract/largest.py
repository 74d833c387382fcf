"""The largest message of any type that satisfies the contract's rules."""

import re
from typing import Any

from buf.validate import validate_pb2
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from backroom.common.v1 import rules_pb2
from server.frame.canonical import is_output_only
from tests.contract.hostile import is_map, type_of

_F = FieldDescriptor
_WIDEST = "\N{PILE OF POO}"
"""Four bytes in UTF-8, as many as a character can take."""
_UUID = "ffffffff-ffff-4fff-bfff-ffffffffffff"
_GIVEN: dict[str, Any] = {
    "google.type.Money": {"currency_code": "GBP", "units": 999_999_999, "nanos": 999_999_999},
    "google.protobuf.Timestamp": {"seconds": 253_402_300_799, "nanos": 999_999_999},
    "google.protobuf.Duration": {"seconds": 2_591_999, "nanos": 999_999_999},
}
_TEXTS = {"product.sku": "~" * 64}
"""Texts that satisfy the rules written as expressions, by the rules' ids."""
FREE = frozenset({"google.protobuf.Struct", "google.protobuf.Value", "google.protobuf.ListValue"})
"""What a client may nest as it likes: the bound on the whole message is all that there is."""
_MASK = "google.protobuf.FieldMask"


def largest(kind: Descriptor) -> Message:
    """Sets every field to the longest value that its rules allow; a field without a bound gets a short one."""
    message = GetMessageClass(kind)(**_GIVEN.get(kind.full_name, {}))
    for field in kind.fields:
        if is_output_only(field):
            continue
        if (
            kind.full_name in _GIVEN
            or kind.full_name in FREE
            or (field.containing_oneof and message.WhichOneof(field.containing_oneof.name))
        ):
            continue
        rules = field.GetOptions().Extensions[validate_pb2.field]
        if is_map(field):
            for place in range(rules.map.max_pairs):
                getattr(message, field.name)[_text(rules.map.keys, place)].SetInParent()
        elif field.is_repeated:
            items = rules.repeated.items
            values = [_value(field, items, place) for place in range(rules.repeated.max_items)]
            getattr(message, field.name).extend(values)
        elif field.type == _F.TYPE_MESSAGE:
            getattr(message, field.name).CopyFrom(_value(field, rules, 0))
        else:
            setattr(message, field.name, _value(field, rules, 0))
    return message


def _value(field: FieldDescriptor, rules: validate_pb2.FieldRules, place: int) -> Any:
    match field.type:
        case _F.TYPE_MESSAGE:
            kind = type_of(field)
            mask = getattr(rules.field_mask, "in")
            return GetMessageClass(kind)(paths=mask) if kind.full_name == _MASK else largest(kind)
        case _F.TYPE_STRING:
            return _text(rules, place)
        case _F.TYPE_BYTES:
            return b"\xff" * rules.bytes.max_len
        case _F.TYPE_FIXED32:
            return 2**32 - 1
        case _F.TYPE_BOOL:
            return True
        case _F.TYPE_DOUBLE:
            return rules.double.lte
        case _F.TYPE_ENUM:
            return 1
    number = getattr(rules, {_F.TYPE_INT32: "int32", _F.TYPE_INT64: "int64"}[field.type])
    return number.lte or (2**31 if field.type == _F.TYPE_INT32 else 2**63) - 1


def _text(rules: validate_pb2.FieldRules, place: int) -> str:
    if rules.cel and rules.cel[0].id in _TEXTS:
        return _TEXTS[rules.cel[0].id]
    text = rules.string
    if text.uuid or text.Extensions[rules_pb2.optional_uuid]:
        return _UUID
    if text.HasExtension(rules_pb2.slug):
        return "z" * text.Extensions[rules_pb2.slug]
    if text.pattern and re.fullmatch(text.pattern, letters := "z" * text.max_len):
        return letters
    if text.email:
        return f"{'x' * 60}@{'x' * 60}.example.com"
    number = str(place)  # for lists whose items must differ
    if text.max_bytes:
        return number.rjust(text.max_bytes, "~")
    longest = text.len or text.max_len
    return number + _WIDEST * (longest - len(number)) if longest else number

"""Messages of any type, filled field by field: valid ones, and hostile ones."""

from collections.abc import Iterator
from functools import cache
from typing import Any
from uuid import uuid4

from buf.validate import validate_pb2
from google.api import field_behavior_pb2
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from hypothesis import strategies as st

from backroom.common.v1 import rules_pb2
from server.frame.canonical import behaviors_of, is_output_only
from server.frame.contract import is_judged_one_by_one

CANARY = "canary-5e1f0c"
"""Appears in payloads, and must appear nowhere else."""

SOLD = "samovar-3141"
"""A product with enough stock; no hostile message names it."""

STOCKED = "tea-2718"
"""A product with a stock of a thousand, for the tests of foreign ids."""

_F = FieldDescriptor
_SIGNED = {_F.TYPE_INT32: 31, _F.TYPE_SINT32: 31, _F.TYPE_SFIXED32: 31}
_SIGNED |= {_F.TYPE_INT64: 63, _F.TYPE_SINT64: 63, _F.TYPE_SFIXED64: 63}
_UNSIGNED = {_F.TYPE_UINT32: 32, _F.TYPE_FIXED32: 32, _F.TYPE_UINT64: 64, _F.TYPE_FIXED64: 64}
_STRINGS = (
    CANARY,
    f"\0{CANARY}",
    f"{CANARY}\0",
    "",
    " ",
    "\N{RIGHT-TO-LEFT OVERRIDE}\N{PILE OF POO}\N{COMBINING ACUTE ACCENT}",
    f"'; DROP TABLE accounts; -- {CANARY}",
    f"%s%n{{0}}${{x}}\\u0000{CANARY}",
    CANARY * 30,
    str(uuid4()),
    "ffffffff-ffff-ffff-ffff-ffffffffffff",
    "GBP",
)
_EXTREMES = (-1, 0, 1, 2, 1_000_001, 999_999_999, -62_135_596_800, 253_402_300_799)
"""The last two are the first and the last second that a Timestamp can represent."""
_DEEPEST = 3
_PLAIN = {"google.type.Money": {"currency_code": "GBP", "units": 3}}


def filled(kind: Descriptor, **given: Any) -> Message:
    """The simplest message that satisfies the contract's rules, with these fields set as well."""
    message = GetMessageClass(kind)(**given)
    for field in kind.fields:
        value = _plain(field)
        if value is not None and field.name not in given and field.containing_oneof is None:
            _put(message, field, [value] if field.is_repeated else value)
    for oneof in kind.oneofs:
        if oneof.GetOptions().Extensions[validate_pb2.oneof].required and message.WhichOneof(oneof.name) is None:
            first = oneof.fields[0]
            _put(message, first, filled(type_of(first)) if first.type == _F.TYPE_MESSAGE else _plain(first))
    return message


def with_nul(kind: Descriptor, depth: int = 0) -> Iterator[tuple[str, Message]]:
    """The simplest message once for each text in it, at any depth, with a NUL in that text; and the text's path."""
    for field in kind.fields:
        if is_output_only(field) or is_judged_one_by_one(field):
            continue
        path = f"{field.name}[0]" if field.is_repeated else field.name
        if field.type == _F.TYPE_STRING:
            yield path, _with(kind, field, "a\0b")
        elif field.type == _F.TYPE_MESSAGE and depth < _DEEPEST:
            for inner, message in with_nul(type_of(field), depth + 1):
                yield f"{path}.{inner}", _with(kind, field, message)


def _with(kind: Descriptor, field: FieldDescriptor, value: Any) -> Message:
    message = filled(kind)
    message.ClearField(field.name)
    _put(message, field, [value] if field.is_repeated else value)
    return message


@cache
def messages(kind: Descriptor, depth: int = 0) -> st.SearchStrategy[Message]:
    """Messages of a type: hostile everywhere, or valid except for a field or two."""
    fields = {field.name: field for field in kind.fields if field.type != _F.TYPE_MESSAGE or depth < _DEEPEST}

    def built(base: Message, values: dict[str, Any]) -> Message:
        message = type(base)()
        message.CopyFrom(base)
        for name, value in values.items():
            message.ClearField(name)
            _put(message, fields[name], value)
        return message

    def mutated(names: list[str]) -> st.SearchStrategy[Message]:
        values = {name: _of(fields[name], depth) for name in names}
        return st.builds(built, st.just(filled(kind)), st.fixed_dictionaries(values))

    all_over = {name: _of(field, depth) for name, field in fields.items()}
    hostile = st.builds(built, st.just(GetMessageClass(kind)()), st.fixed_dictionaries({}, optional=all_over))
    if not fields:
        return hostile
    few = st.lists(st.sampled_from(sorted(fields)), max_size=2, unique=True)
    return few.flatmap(mutated) | few.flatmap(mutated) | hostile


def _of(field: FieldDescriptor, depth: int) -> st.SearchStrategy[Any]:
    one = _value(field, depth)
    plain = _plain(field)
    if plain is not None and field.type != _F.TYPE_MESSAGE:
        one = st.just(plain) | st.just(plain) | one
    return st.lists(one, max_size=3) if field.is_repeated else one


def _value(field: FieldDescriptor, depth: int) -> st.SearchStrategy[Any]:
    if field.type == _F.TYPE_MESSAGE:
        return messages(type_of(field), depth + 1)
    if field.type == _F.TYPE_STRING:
        return st.sampled_from(_STRINGS) | st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
    if field.type == _F.TYPE_BYTES:
        return st.sampled_from([b"", b"\0", CANARY.encode()]) | st.binary(max_size=20)
    if field.type == _F.TYPE_BOOL:
        return st.booleans()
    if field.type in (_F.TYPE_DOUBLE, _F.TYPE_FLOAT):
        return st.floats(width=32, allow_nan=False)
    return _number(field)


def _number(field: FieldDescriptor) -> st.SearchStrategy[int]:
    if field.type in _UNSIGNED:
        low, high = 0, 2 ** _UNSIGNED[field.type] - 1
    else:  # an enum is an int32, and proto3 accepts any value
        bits = _SIGNED.get(field.type, 31)
        low, high = -(2**bits), 2**bits - 1
    extremes = [number for number in (low, *_EXTREMES, high) if low <= number <= high]
    return st.sampled_from(extremes) | st.integers(low, high)


def _plain(field: FieldDescriptor) -> Any:
    """A value that satisfies the field's own rules; None if the field may be omitted."""
    rules = field.GetOptions().Extensions[validate_pb2.field]
    if field.type == _F.TYPE_MESSAGE:
        known = _PLAIN.get(type_of(field).full_name)
        wanted = known or rules.required or rules.repeated.min_items
        return filled(type_of(field), **(known or {})) if wanted else None
    if field.type == _F.TYPE_STRING:
        if field.name == "key" and field.containing_type is not None and field.containing_type.GetOptions().map_entry:
            return CANARY
        if rules.cel or field_behavior_pb2.REQUIRED in behaviors_of(
            field
        ):  # words instead of the characters of a pattern
            return CANARY
        return _plain_string(rules.string if not field.is_repeated else rules.repeated.items.string)
    if field.type == _F.TYPE_INT64 and (rules.int64.gte > 0 or rules.int64.not_in):
        return 1
    if field.type == _F.TYPE_INT32 and rules.int32.gte > 0:
        return int(rules.int32.gte)
    if field.type == _F.TYPE_ENUM and getattr(rules.enum, "in"):
        return getattr(rules.enum, "in")[0]
    return None


def _plain_string(rules: validate_pb2.StringRules) -> str | None:
    if rules.uuid or rules.Extensions[rules_pb2.optional_uuid]:
        return str(uuid4())
    if rules.HasExtension(rules_pb2.slug):
        return CANARY
    if rules.email:
        return f"{CANARY}@example.com"
    if rules.len or rules.min_len:
        return CANARY.ljust(rules.len or rules.min_len, "x")
    return None


def type_of(field: FieldDescriptor) -> Descriptor:
    assert field.message_type is not None
    return field.message_type


def is_map(field: FieldDescriptor) -> bool:
    return field.message_type is not None and field.message_type.GetOptions().map_entry


def _put_entry(entries: Any, kind: Descriptor, entry: Any) -> None:
    """Into a map, what its message of a key and a value holds."""
    if kind.fields_by_name["value"].type == _F.TYPE_MESSAGE:
        entries[entry.key].CopyFrom(entry.value)
    else:
        entries[entry.key] = entry.value


def _put(message: Message, field: FieldDescriptor, value: Any) -> None:
    if field.type == _F.TYPE_MESSAGE and not field.is_repeated:
        getattr(message, field.name).CopyFrom(value)
        getattr(message, field.name).SetInParent()
    elif is_map(field):
        for entry in value:
            _put_entry(getattr(message, field.name), type_of(field), entry)
    elif field.is_repeated:
        getattr(message, field.name).extend(value)
    else:
        setattr(message, field.name, value)

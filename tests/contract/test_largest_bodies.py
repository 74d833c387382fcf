"""The size limit of each method: as large as its field rules allow, and no byte more than it declares."""

import time
from collections.abc import Iterator

import protovalidate
import pytest
from buf.validate import validate_pb2
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message_factory import GetMessageClass

from server.frame.canonical import is_output_only
from server.frame.contract import BODY_BYTES, MAX_JUDGED_BYTES, MAX_LIMIT_BYTES, is_judged_one_by_one, largest_bodies_of
from server.frame.errors import FieldInvalid, MessageTooLarge
from server.frame.interceptors import base
from server.frame.interceptors.validation import MOST_NESTED_VALUES, Validation
from tests.contract.hostile import is_map, type_of
from tests.contract.largest import FREE, largest
from tests.contract.methods import METHODS, SERVICES, Method

LARGEST = largest_bodies_of(SERVICES)
VALIDATION = Validation(protovalidate.Validator(), LARGEST)


def parsing(method: Method) -> base.Method:
    return base.Method(method.path, GetMessageClass(method.takes).FromString)


def nests(kind: Descriptor) -> bool:
    """Whether a client may nest as it likes somewhere in a message."""
    inside = [type_of(field) for field in kind.fields if field.type == FieldDescriptor.TYPE_MESSAGE]
    return any(each.full_name in FREE or nests(each) for each in inside)


def lists_in(kind: Descriptor, path: tuple[FieldDescriptor, ...] = ()) -> Iterator[tuple[FieldDescriptor, ...]]:
    """The path of each list and map in a message, at any depth, except those in Google's own types."""
    for field in kind.fields:
        if is_output_only(field):
            continue
        if is_judged_one_by_one(field):
            continue
        if field.is_repeated and not kind.full_name.startswith("google."):
            yield (*path, field)
        if field.type == FieldDescriptor.TYPE_MESSAGE and type_of(field).full_name not in FREE:
            yield from lists_in(type_of(field), (*path, field))


@pytest.mark.parametrize("method", METHODS, ids=str)
def test_the_largest_valid_request_is_accepted(method: Method) -> None:
    """It satisfies the rules, so only the limit could refuse it; and the limit is not far above it.

    Where a client may nest as it likes, what else there is leaves room for that. What is larger than any method may
    take has the largest limit there is.
    """
    message = largest(method.takes)
    body = message.SerializeToString()
    if len(body) > MAX_LIMIT_BYTES:
        assert LARGEST[method.path] == MAX_LIMIT_BYTES, method
        return
    assert VALIDATION.parse(parsing(method), body) == message
    if method.judges_one_by_one:
        assert LARGEST[method.path] == MAX_JUDGED_BYTES, method
    elif nests(method.takes):
        assert LARGEST[method.path] >= min(2 * len(body), MAX_LIMIT_BYTES), (method, len(body))
    else:
        assert LARGEST[method.path] <= max(BODY_BYTES, 2 * len(body)), (method, len(body))


def test_a_schedule_and_a_batch_alone_can_be_larger_than_a_method_takes() -> None:
    """What else there is fits with every element that its rules allow."""
    sizes = {method.name: len(largest(method.takes).SerializeToString()) for method in METHODS}
    assert [name for name, size in sizes.items() if size > MAX_LIMIT_BYTES] == [
        "ScheduleFlagChange",
        "BatchUpdateTasks",
    ]


@pytest.mark.parametrize("method", METHODS, ids=str)
def test_a_byte_too_many_is_refused_with_both_numbers(method: Method) -> None:
    """It is refused before anything is parsed: the body is not a message at all."""
    limit = LARGEST[method.path]
    with pytest.raises(MessageTooLarge) as raised:
        VALIDATION.parse(parsing(method), b"\xff" * (limit + 1))
    name = method.path.removeprefix("/")
    assert raised.value.metadata == {"method": name, "size_bytes": str(limit + 1), "limit_bytes": str(limit)}
    assert str(raised.value) == f"The message is {limit + 1} bytes, but {name} accepts at most {limit}."


def test_every_list_has_a_bound() -> None:
    """Also each map."""
    found = [(method, path) for method in METHODS for path in lists_in(method.takes)]
    assert len(found) >= 8
    for method, path in found:
        rules = path[-1].GetOptions().Extensions[validate_pb2.field]
        assert rules.map.max_pairs if is_map(path[-1]) else rules.repeated.max_items, (method, path[-1].name)


@pytest.mark.parametrize("method", [each for each in METHODS if any(lists_in(each.takes))], ids=str)
def test_as_many_empty_elements_as_fit_are_refused_at_once(method: Method) -> None:
    """Of each list one violation is named; naming a million of them took 100 s."""
    for path in lists_in(method.takes):
        if is_map(path[-1]) or path[-1].is_packed:  # whose elements are one, or take no room when they are none
            continue
        body = (bytes([path[-1].number << 3 | 2, 0])) * ((LARGEST[method.path] - 4 * len(path)) // 2)
        for outer in reversed(path[:-1]):
            body = wrapped(outer.number, body)
        began = time.process_time()
        with pytest.raises(FieldInvalid) as raised:
            VALIDATION.parse(parsing(method), body)
        assert time.process_time() - began < 2.0, (method, path[-1].name)
        assert raised.value.count == 1


@pytest.mark.parametrize("method", [each for each in METHODS if nests(each.takes)], ids=str)
def test_as_many_nested_values_as_fit_are_refused_at_once(method: Method) -> None:
    """Of the 250,000 that fit into the largest message, each takes 2 us to validate, on the loop."""
    for path in free_in(method.takes):
        count = (LARGEST[method.path] - 4 * len(path) - 32) // 2
        body = nested(b"\x0a\x00" * count, path)
        began = time.process_time()
        found = refused(method, body)
        assert time.process_time() - began < 0.2, (method, path[-1].name)
        assert (found is not None and "20,000 values" in found) or count <= MOST_NESTED_VALUES, (method, path[-1].name)


def test_as_many_nested_values_as_may_be_are_taken() -> None:
    """They count at any depth, and one more is refused."""
    method = next(each for each in METHODS if each.name == "UpdateFlagSet")
    path = next(path for path in free_in(method.takes) if path[-1].name == "metadata")
    most = MOST_NESTED_VALUES - 1  # beside the list that they are in
    assert refused(method, nested(b"\x0a\x00" * most, path)) is None
    expected = "The message must hold at most 20,000 values, nested ones included"
    assert refused(method, nested(b"\x0a\x00" * (most + 1), path)) == expected


def free_in(kind: Descriptor, path: tuple[FieldDescriptor, ...] = ()) -> Iterator[tuple[FieldDescriptor, ...]]:
    """The path of each field in which a client may nest as it likes, at any depth."""
    for field in kind.fields:
        if field.type != FieldDescriptor.TYPE_MESSAGE or is_output_only(field):
            continue
        if type_of(field).full_name in FREE:
            yield (*path, field)
        else:
            yield from free_in(type_of(field), (*path, field))


def nested(values: bytes, path: tuple[FieldDescriptor, ...]) -> bytes:
    """A request with a list of these values in a free field."""
    body = wrapped(6, values)  # Value.list_value
    if type_of(path[-1]).full_name == "google.protobuf.Struct":
        body = wrapped(1, wrapped(1, b"a") + wrapped(2, body))  # Struct.fields
    for field in reversed(path):
        body = wrapped(field.number, body)
    return body


def refused(method: Method, body: bytes) -> str | None:
    try:
        VALIDATION.parse(parsing(method), body)
    except FieldInvalid as refusal:
        return str(refusal)
    return None


def wrapped(number: int, content: bytes) -> bytes:
    return bytes([number << 3 | 2]) + varint(len(content)) + content


def varint(number: int) -> bytes:
    return bytes((number >> shift & 0x7F) | (0x80 if shift < 14 else 0) for shift in (0, 7, 14))


def test_all_violations_of_a_short_message_are_named() -> None:
    """All fields of a form can then be corrected at once; with many lines, only the first violation is named."""
    place = next(method for method in METHODS if method.name == "PlaceOrder")
    with pytest.raises(FieldInvalid) as raised:
        VALIDATION.parse(parsing(place), b"\x22\x00" * 100)
    assert raised.value.count == 200
    assert {each.path for each in raised.value.fields} >= {"lines[0].sku", "lines[0].quantity", "lines[9].sku"}
    with pytest.raises(FieldInvalid) as raised:
        VALIDATION.parse(parsing(place), b"\x22\x00" * 101)
    assert [each.path for each in raised.value.fields] == ["lines[0].sku"]


def test_unknown_fields_are_dropped() -> None:
    """At any depth, because a message may be kept as long as its stream lasts."""
    place = next(method for method in METHODS if method.name == "PlaceOrders")
    unknown = b"\xfa\x01\x03abc"
    line = b"\x0a\x01a\x10\x01" + unknown
    order = b"\x22" + bytes([len(line)]) + line + unknown
    message = VALIDATION.parse(parsing(place), b"\x0a" + bytes([len(order)]) + order + unknown)
    assert message.SerializeToString() == b"\x0a\x07\x22\x05\x0a\x01a\x10\x01"

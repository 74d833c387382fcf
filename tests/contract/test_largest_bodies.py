"""The size limit of each method: as large as its field rules allow, and no byte more than it declares."""

import time
from collections.abc import Iterator

import protovalidate
import pytest
from buf.validate import validate_pb2
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message_factory import GetMessageClass

from server.frame.canonical import is_output_only
from server.frame.contract import BODY_BYTES, largest_bodies_of
from server.frame.errors import FieldInvalid, MessageTooLarge
from server.frame.interceptors import base
from server.frame.interceptors.validation import Validation
from tests.contract.hostile import type_of
from tests.contract.largest import largest
from tests.contract.methods import METHODS, SERVICES, Method

LARGEST = largest_bodies_of(SERVICES)
VALIDATION = Validation(protovalidate.Validator(), LARGEST)


def parsing(method: Method) -> base.Method:
    return base.Method(method.path, GetMessageClass(method.takes).FromString)


def lists_in(kind: Descriptor, path: tuple[FieldDescriptor, ...] = ()) -> Iterator[tuple[FieldDescriptor, ...]]:
    """The path of each list in a message, at any depth, except those in Google's own types."""
    for field in kind.fields:
        if is_output_only(field):
            continue
        if field.is_repeated and not kind.full_name.startswith("google."):
            yield (*path, field)
        if field.type == FieldDescriptor.TYPE_MESSAGE:
            yield from lists_in(type_of(field), (*path, field))


@pytest.mark.parametrize("method", METHODS, ids=str)
def test_the_largest_valid_request_is_accepted(method: Method) -> None:
    """It satisfies the rules, so only the limit could refuse it; and the limit is not far above it."""
    message = largest(method.takes)
    body = message.SerializeToString()
    assert VALIDATION.parse(parsing(method), body) == message
    assert LARGEST[method.path] <= max(BODY_BYTES, 2 * len(body)), (method, len(body))


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
    """No request holds a map, which could have no bound."""
    found = [(method, path) for method in METHODS for path in lists_in(method.takes)]
    assert len(found) >= 8
    for method, path in found:
        assert path[-1].GetOptions().Extensions[validate_pb2.field].repeated.max_items, (method, path[-1].name)
        assert not (path[-1].message_type and path[-1].message_type.GetOptions().map_entry), (method, path[-1].name)


@pytest.mark.parametrize("method", [each for each in METHODS if any(lists_in(each.takes))], ids=str)
def test_as_many_empty_elements_as_fit_are_refused_at_once(method: Method) -> None:
    """Of each list one violation is named; naming a million of them took 100 s."""
    for path in lists_in(method.takes):
        body = (bytes([path[-1].number << 3 | 2, 0])) * ((LARGEST[method.path] - 8) // 2)
        for outer in reversed(path[:-1]):
            body = bytes([outer.number << 3 | 2]) + varint(len(body)) + body
        began = time.process_time()
        with pytest.raises(FieldInvalid) as raised:
            VALIDATION.parse(parsing(method), body)
        assert time.process_time() - began < 2.0, (method, path[-1].name)
        assert raised.value.count == 1


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

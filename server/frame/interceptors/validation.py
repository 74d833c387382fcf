"""The body is parsed here, and validated against the rules in the contract."""

import asyncio
import re
from collections.abc import AsyncIterator, Mapping
from functools import cache
from typing import Any

import protovalidate
from buf.validate import validate_pb2
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import DecodeError, Message

from server.frame.call import Call
from server.frame.canonical import canonicalized
from server.frame.contract import BODY_BYTES, is_judged_one_by_one
from server.frame.errors import BodyMalformed, FieldInvalid, FieldViolation, MessageTooLarge, Refusal
from server.frame.interceptors.base import Behavior, Method

_HEAVY_BYTES = 8 * 1024
"""Larger messages are parsed one a turn of the loop: the largest take 10 ms each, and many of them would block it."""

_MANY_ELEMENTS = 100
"""Elements of lists: of a message that has more, only the first violation is looked for.

A violation costs about 20 us, on the loop and in memory, and each element can have several.
"""

MOST_NESTED_VALUES = 20_000
"""Of a message in which clients nest values as they like: each takes two bytes or more, and 2 us to validate."""
_FREE = frozenset({"google.protobuf.Struct", "google.protobuf.Value", "google.protobuf.ListValue"})

_PLURAL = re.compile(r"(\d+) (\w+)\(s\)")
_ONE_IN_LIST = re.compile(r"(must(?: not)? be) in list \[([^,\]]+)\]")


class Validation:
    """Innermost but for the deadline: only who may call learns what is wrong with a body.

    It makes a message of the body on the way in, and bytes of the answer on the way out.
    What the contract does not know of a message is dropped, and ids are brought into one form.
    """

    def __init__(self, validator: protovalidate.Validator, largest_bodies: Mapping[str, int]) -> None:
        """`largest_bodies` is how large a message a method takes, in bytes, by its path."""
        self._validator = validator
        self._largest_bodies = largest_bodies
        self._turn = asyncio.Lock()

    def around(self, method: Method, proceed: Behavior) -> Behavior:
        async def parsed(request: Any, call: Call) -> Any:
            heavy = len(request) > _HEAVY_BYTES
            message = await self._in_turn(method, request) if heavy else self.parse(method, request)
            answer = await proceed(message, call)
            return answer if method.answers_stream else method.serialize(answer)

        async def parsed_one_by_one(bodies: AsyncIterator[bytes], call: Call) -> Any:
            answer = await proceed(self._each(method, bodies), call)
            return answer if method.answers_stream else method.serialize(answer)

        return parsed_one_by_one if method.takes_stream else parsed

    def parse(self, method: Method, body: bytes) -> Any:
        """Raises MessageTooLarge, BodyMalformed or FieldInvalid."""
        largest = self._largest_bodies.get(method.path, BODY_BYTES)
        if len(body) > largest:
            name = method.path.removeprefix("/")
            raise MessageTooLarge(method=name, size_bytes=str(len(body)), limit_bytes=str(largest))
        try:
            message = method.parse(body)
        except DecodeError:
            raise BodyMalformed(method=method.path.removeprefix("/")) from None
        if isinstance(message, Message):
            message.DiscardUnknownFields()  # a message may be kept for as long as its stream lasts
            if len(body) > 2 * MOST_NESTED_VALUES and _nests(message.DESCRIPTOR):
                _refuse_too_many_values(message)
            self._check(message, may_hold_nul=b"\0" in body)
        return message

    async def _in_turn(self, method: Method, body: bytes) -> Any:
        async with self._turn:
            return self.parse(method, body)

    async def _each(self, method: Method, bodies: AsyncIterator[bytes]) -> AsyncIterator[Any]:
        number = 0
        async for body in bodies:
            number += 1
            try:
                message = await self._in_turn(method, body) if len(body) > _HEAVY_BYTES else self.parse(method, body)
            except Refusal as refusal:
                raise refusal.at_message(number) from None
            yield message

    def _check(self, message: Message, *, may_hold_nul: bool) -> None:
        if malformed := canonicalized(message):
            raise FieldInvalid(fields=malformed)
        # It keeps the interpreter's lock, so a thread would block the loop just as long.
        found = self._validator.collect_violations(message, fail_fast=True) if has_rules(message.DESCRIPTOR) else []
        if found and not _holds_more(message, _MANY_ELEMENTS):
            found = self._validator.collect_violations(message)
        violations = [_violation(each, message) for each in found]
        if may_hold_nul and not violations:
            violations = [FieldViolation(path, "must not contain the NUL character") for path in _nul_paths(message)]
        if violations:
            raise FieldInvalid(fields=violations)


@cache
def _nests(kind: Descriptor) -> bool:
    """Whether a message has a place in which a client nests values as it likes."""
    inside = [field.message_type for field in kind.fields if field.message_type is not None]
    return any(each.full_name in _FREE or _nests(each) for each in inside)


@cache
def has_rules(descriptor: Descriptor) -> bool:
    """Whether the contract has a rule for messages of this type, or for any inside them.

    The validator looks at each value of a map in any case, which takes longer than all else that is done here.
    """
    ruled: Any = validate_pb2
    seen: set[str] = set()
    waiting = [descriptor]
    while waiting:
        each = waiting.pop()
        if each.full_name in seen:
            continue
        seen.add(each.full_name)
        if (
            each.GetOptions().HasExtension(ruled.message)
            or any(oneof.GetOptions().HasExtension(ruled.oneof) for oneof in each.oneofs)
            or any(field.GetOptions().HasExtension(ruled.field) for field in each.fields)
        ):
            return True
        waiting += [field.message_type for field in each.fields if field.message_type is not None]
    return False


def _refuse_too_many_values(message: Message) -> None:
    if _holds_more(message, MOST_NESTED_VALUES):
        raise FieldInvalid.of("", f"The message must hold at most {MOST_NESTED_VALUES:,} values, nested ones included")


def _holds_more(message: Message, most: int) -> bool:
    """Whether its lists and maps, at any depth, hold more elements than that together."""
    left = most
    inside = [message]
    while inside:
        for field, value in inside.pop().ListFields():
            if not field.is_repeated:
                inside += [value] if isinstance(value, Message) else []
                continue
            left -= len(value)
            if left < 0:
                return True
            each_one = value.values() if isinstance(value, Mapping) else value
            inside += [each for each in each_one if isinstance(each, Message)]
    return False


def _violation(violation: protovalidate.Violation, message: Message) -> FieldViolation:
    proto = violation.proto
    path = ""
    for element in proto.field.elements if proto.field else ():
        path += f".{element.field_name}" if path else str(element.field_name)
        if element.subscript is not None:
            path += f"[{element.subscript.value}]"
    oneof = message.DESCRIPTOR.oneofs_by_name.get(path)
    if oneof is not None:
        return FieldViolation(
            path, f"one of {', '.join(field.name for field in oneof.fields)} is required", proto.rule_id
        )
    return FieldViolation(path, _plain(proto.message), proto.rule_id)


def _plain(description: str) -> str:
    """The validator's message in plainer English, to be shown behind a field's path."""
    if one := _ONE_IN_LIST.fullmatch(description):
        return f"{one[1]} {one[2]}"
    counted = _PLURAL.sub(lambda found: f"{found[1]} {found[2]}{'' if found[1] == '1' else 's'}", description)
    return counted.removeprefix("value ")


def _holds_nul(value: Any) -> bool:
    """Whether a key or a value of a map is a text with a NUL, or a message that holds one."""
    if isinstance(value, Message):
        return bool(_nul_paths(value))
    return isinstance(value, str) and "\0" in value


def _nul_paths(message: Message, prefix: str = "") -> list[str]:
    """The paths of the strings that contain a NUL, which PostgreSQL's text cannot."""
    paths: list[str] = []
    for field, value in message.ListFields():
        path = f"{prefix}{field.name}"
        if field.is_repeated and is_judged_one_by_one(field):
            continue
        if field.is_repeated and isinstance(value, Mapping):
            # The path alone is named: the keys are the caller's own text.
            paths += [path] if any(_holds_nul(each) for pair in value.items() for each in pair) else []
            continue
        many = field.is_repeated
        for index, each in enumerate(value if many else (value,)):
            place = f"{path}[{index}]" if many else path
            if field.type == FieldDescriptor.TYPE_STRING and "\0" in each:
                paths.append(place)
            elif field.type == FieldDescriptor.TYPE_MESSAGE and isinstance(each, Message):
                paths += _nul_paths(each, f"{place}.")
    return paths

"""The body is parsed here, and held against the rules in the contract."""

import inspect
from collections.abc import AsyncIterator, Callable
from typing import Any

import grpc
import protovalidate
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import DecodeError, Message

from server.frame.call import Call
from server.frame.errors import BodyMalformed, FieldInvalid, FieldViolation, MessageTooLarge, MethodUnknown
from server.frame.interceptors.base import Behaviour, Continuation, Handler, behaviour_of, rebuilt

LARGEST_MESSAGE = 4 * 1024 * 1024
"""In bytes; the server's own limit lies above it, so that a larger message is refused with a reason."""

_MOST_VIOLATIONS = 20

Parse = Callable[[bytes], Any]
Serialize = Callable[[Any], Any]


class Validation(grpc.aio.ServerInterceptor):
    """Innermost but for the deadline: only who may call learns what is wrong with a body.

    It stands around the request and not around the call, unlike the others.
    gRPC would answer UNKNOWN, with the error's text, to a body that cannot be parsed and for an answer that cannot be
    serialised, so the handlers outside of this one get and give bytes.
    """

    def __init__(self, validator: protovalidate.Validator) -> None:
        self._validator = validator

    async def intercept_service(
        self,
        continuation: Continuation,
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Handler:
        handler = await continuation(handler_call_details)
        if handler is None:
            return grpc.stream_stream_rpc_method_handler(_unknown)
        behaviour = behaviour_of(handler)
        parse = self._parser(handler.request_deserializer)
        # A coroutine that writes its answers by itself, as the standard health service's does, hands gRPC messages.
        writes = handler.response_streaming and not inspect.isasyncgenfunction(behaviour)
        serialize = None if writes else handler.response_serializer
        parsing = _parsing(behaviour, parse, serialize or _unchanged, handler.request_streaming)
        return rebuilt(handler, parsing, raw=True, answers_raw=not writes)

    def _parser(self, deserialize: Parse | None) -> Parse:
        def parse(body: bytes) -> Any:
            if len(body) > LARGEST_MESSAGE:
                raise MessageTooLarge(limit_bytes=str(LARGEST_MESSAGE))
            try:
                message = deserialize(body) if deserialize else body
            except DecodeError:
                raise BodyMalformed from None
            if isinstance(message, Message):
                self._hold(message, may_hold_nul=b"\0" in body)
            return message

        return parse

    def _hold(self, message: Message, *, may_hold_nul: bool) -> None:
        found = self._validator.collect_violations(message)
        violations = [_violation(each) for each in found[:_MOST_VIOLATIONS]]
        if may_hold_nul and not violations:
            violations = [FieldViolation(path, "must not hold the character NUL") for path in _nul_paths(message)]
        if violations:
            raise FieldInvalid(fields=violations)


async def _unknown(_request: Any, _call: Any) -> AsyncIterator[bytes]:
    raise MethodUnknown
    yield b""


def _unchanged(answer: Any) -> Any:
    return answer


def _parsing(behaviour: Behaviour, parse: Parse, serialize: Serialize, streaming_request: bool) -> Behaviour:
    async def parsed(bodies: AsyncIterator[bytes]) -> AsyncIterator[Any]:
        async for body in bodies:
            yield parse(body)

    def request_of(request: Any) -> Any:
        return parsed(request) if streaming_request else parse(request)

    async def answering(request: Any, call: Call) -> Any:
        return serialize(await behaviour(request_of(request), call))

    async def streaming(request: Any, call: Call) -> AsyncIterator[Any]:
        async for response in behaviour(request_of(request), call):
            yield serialize(response)

    return streaming if inspect.isasyncgenfunction(behaviour) else answering


def _violation(violation: protovalidate.Violation) -> FieldViolation:
    proto = violation.proto
    path = ""
    for element in proto.field.elements if proto.field else ():
        path += f".{element.field_name}" if path else str(element.field_name)
        if element.subscript is not None:
            path += f"[{element.subscript.value}]"
    return FieldViolation(path, proto.message, proto.rule_id)


def _nul_paths(message: Message, prefix: str = "") -> list[str]:
    """The paths of the strings that hold a NUL, which PostgreSQL's text cannot."""
    paths: list[str] = []
    for field, value in message.ListFields():
        path = f"{prefix}{field.name}"
        many = field.is_repeated
        for index, each in enumerate(value if many else (value,)):
            place = f"{path}[{index}]" if many else path
            if field.type == FieldDescriptor.TYPE_STRING and "\0" in each:
                paths.append(place)
            elif field.type == FieldDescriptor.TYPE_MESSAGE and isinstance(each, Message):
                paths += _nul_paths(each, f"{place}.")
    return paths

"""flagd's evaluation of flags, in both its versions; flagd's clients go by the code alone where it fails."""

from collections.abc import AsyncIterator, Callable, Mapping
from math import isfinite
from typing import Any, Generic, TypeVar

from google.protobuf.message import Message
from google.protobuf.struct_pb2 import Struct, Value

from flagd.evaluation.v1 import evaluation_service_pb2 as v1
from flagd.evaluation.v1 import evaluation_service_pb2_grpc as v1_grpc
from flagd.evaluation.v2 import evaluation_service_pb2 as v2
from flagd.evaluation.v2 import evaluation_service_pb2_grpc as v2_grpc
from server.flags.errors import FlagNotFound, TypeMismatch
from server.flags.rules.evaluating import Evaluation
from server.flags.service.changes import Changes
from server.flags.service.evaluations import Evaluations
from server.flags.servicer.selecting import flag_set_of
from server.frame.call import Call
from server.frame.errors import FieldInvalid, FieldViolation
from storage.flags.records import FlagType

Response = TypeVar("Response", bound=Message)

_NUMBERS = (FlagType.FLOAT, FlagType.INTEGER)
_READY, _CHANGED, _ALIVE = "provider_ready", "configuration_change", "keep_alive"
"""The types of events, as flagd's clients know them."""


class EvaluationServicer(v2_grpc.ServiceServicer):
    """Version 2, which today's clients call."""

    def __init__(self, evaluations: Evaluations, changes: Changes) -> None:
        self._changes = changes
        self._boolean = _Resolver(evaluations, v2.ResolveBooleanResponse, bool, FlagType.BOOLEAN)
        self._string = _Resolver(evaluations, v2.ResolveStringResponse, str, FlagType.STRING)
        self._float = _Resolver(evaluations, v2.ResolveFloatResponse, float, *_NUMBERS)
        self._int = _Resolver(evaluations, v2.ResolveIntResponse, int, *_NUMBERS)
        self._object = _Resolver(evaluations, v2.ResolveObjectResponse, struct, FlagType.OBJECT)

    async def ResolveBoolean(self, request: v2.ResolveBooleanRequest, call: Call) -> v2.ResolveBooleanResponse:
        return self._boolean.answer(request, call)

    async def ResolveString(self, request: v2.ResolveStringRequest, call: Call) -> v2.ResolveStringResponse:
        return self._string.answer(request, call)

    async def ResolveFloat(self, request: v2.ResolveFloatRequest, call: Call) -> v2.ResolveFloatResponse:
        return self._float.answer(request, call)

    async def ResolveInt(self, request: v2.ResolveIntRequest, call: Call) -> v2.ResolveIntResponse:
        return self._int.answer(request, call)

    async def ResolveObject(self, request: v2.ResolveObjectRequest, call: Call) -> v2.ResolveObjectResponse:
        return self._object.answer(request, call)

    async def EventStream(self, _request: v2.EventStreamRequest, call: Call) -> AsyncIterator[v2.EventStreamResponse]:
        async for kind, data in _events(self._changes, call):
            yield v2.EventStreamResponse(type=kind, data=data)


class EvaluationV1Servicer(v1_grpc.ServiceServicer):
    """Version 1, for older clients: it cannot express that a flag serves no variant, and answers NOT_FOUND."""

    def __init__(self, evaluations: Evaluations, changes: Changes) -> None:
        self._evaluations = evaluations
        self._changes = changes
        self._boolean = _Resolver(evaluations, v1.ResolveBooleanResponse, bool, FlagType.BOOLEAN, unserved=False)
        self._string = _Resolver(evaluations, v1.ResolveStringResponse, str, FlagType.STRING, unserved=False)
        self._float = _Resolver(evaluations, v1.ResolveFloatResponse, float, *_NUMBERS, unserved=False)
        self._int = _Resolver(evaluations, v1.ResolveIntResponse, int, *_NUMBERS, unserved=False)
        self._object = _Resolver(evaluations, v1.ResolveObjectResponse, struct, FlagType.OBJECT, unserved=False)

    async def ResolveAll(self, request: v1.ResolveAllRequest, call: Call) -> v1.ResolveAllResponse:
        flag_set_id, seconds = flag_set_of(call), int(call.time.timestamp())
        context = context_of(request.context)
        found = await self._evaluations.all(flag_set_id, context, seconds, call.received_bytes)
        flags = {key: _any_flag(each) for key, each in found.items() if each.variant is not None}
        return v1.ResolveAllResponse(flags=flags, metadata=struct(self._evaluations.metadata(flag_set_id)))

    async def ResolveBoolean(self, request: v1.ResolveBooleanRequest, call: Call) -> v1.ResolveBooleanResponse:
        return self._boolean.answer(request, call)

    async def ResolveString(self, request: v1.ResolveStringRequest, call: Call) -> v1.ResolveStringResponse:
        return self._string.answer(request, call)

    async def ResolveFloat(self, request: v1.ResolveFloatRequest, call: Call) -> v1.ResolveFloatResponse:
        return self._float.answer(request, call)

    async def ResolveInt(self, request: v1.ResolveIntRequest, call: Call) -> v1.ResolveIntResponse:
        return self._int.answer(request, call)

    async def ResolveObject(self, request: v1.ResolveObjectRequest, call: Call) -> v1.ResolveObjectResponse:
        return self._object.answer(request, call)

    async def EventStream(self, _request: v1.EventStreamRequest, call: Call) -> AsyncIterator[v1.EventStreamResponse]:
        async for kind, data in _events(self._changes, call):
            yield v1.EventStreamResponse(type=kind, data=data)


class _Resolver(Generic[Response]):
    """Answers one method. What does not depend on the call is made once for each evaluation that a flag can have."""

    def __init__(
        self,
        evaluations: Evaluations,
        response: Callable[..., Response],
        value: Callable[[Any], Any],
        *wanted: FlagType,
        unserved: bool = True,
    ) -> None:
        """`unserved` is whether the response may be without a variant."""
        self._evaluations = evaluations
        self._response = response
        self._value = value
        self._wanted = wanted
        self._unserved = unserved
        self._version = -1
        self._made: dict[int, Response] = {}
        """By the identity of an evaluation, of which each version has its own."""

    def answer(self, request: Any, call: Call) -> Response:
        flag_set_id, key = flag_set_of(call), request.flag_key
        context, seconds = context_of(request.context), int(call.time.timestamp())
        found = self._evaluations.one(flag_set_id, key, context, seconds, *self._wanted)
        if found.variant is None and not self._unserved:
            raise FlagNotFound(flag_set_id=flag_set_id, flag_key=key)
        if self._version != self._evaluations.version:
            self._version, self._made = self._evaluations.version, {}
        made = self._made.get(id(found))
        if made is None:
            made = self._made[id(found)] = self._make(found)
        return made

    def _make(self, found: Evaluation) -> Response:
        served = {} if found.variant is None else {"variant": found.variant, "value": self._value(found.value)}
        try:
            return self._response(reason=found.reason, metadata=struct(found.metadata), **served)
        except ValueError:  # a whole number of more than 64 bits
            wanted = " or ".join(self._wanted)
            raise TypeMismatch(flag_key=found.flag_key, type=found.type, wanted=wanted) from None


def context_of(sent: Struct) -> dict[str, Any]:
    """The evaluation context; raises FieldInvalid where it holds what JSON does not."""
    return {name: _plain(value) for name, value in sent.fields.items()}


def _plain(value: Value) -> Any:
    """Its value, each number as a float; protobuf's own conversion takes twice as long, at each evaluation."""
    match value.WhichOneof("kind"):
        case "string_value":
            return value.string_value
        case "number_value":
            if not isfinite(value.number_value):
                raise FieldInvalid(fields=[FieldViolation("context", "must hold no number that JSON has not")])
            return value.number_value
        case "bool_value":
            return value.bool_value
        case "struct_value":
            return context_of(value.struct_value)
        case "list_value":
            return [_plain(each) for each in value.list_value.values]
        case _:
            return None


def struct(values: Mapping[str, Any]) -> Struct:
    found = Struct()
    found.update(values)
    return found


def _any_flag(found: Evaluation) -> v1.AnyFlag:
    flag = v1.AnyFlag(reason=found.reason, variant=found.variant or "", metadata=struct(found.metadata))
    match found.type:
        case FlagType.BOOLEAN:
            flag.bool_value = found.value
        case FlagType.STRING:
            flag.string_value = found.value
        case FlagType.OBJECT:
            flag.object_value.CopyFrom(struct(found.value))
        case _:
            flag.double_value = found.value
    return flag


async def _events(changes: Changes, call: Call) -> AsyncIterator[tuple[str, Struct | None]]:
    """The events that clients receive: the type and data of each."""
    quiet = _READY
    async for changed in changes.listen(flag_set_of(call)):
        flags = {key: {"type": str(difference)} for key, difference in changed.items()}
        yield (_CHANGED, struct({"flags": flags})) if flags else (quiet, None)
        quiet = _ALIVE

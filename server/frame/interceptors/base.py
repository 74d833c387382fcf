"""What every interceptor is made of: something that wraps a method, whatever kind of method it is."""

import inspect
from collections.abc import Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

import grpc

from server.frame.call import Call, fits, unchanged
from server.frame.errors import MethodUnknown, printable

if TYPE_CHECKING:
    Handler: TypeAlias = grpc.RpcMethodHandler[Any, Any]
else:
    Handler = grpc.RpcMethodHandler
Continuation = Callable[[grpc.HandlerCallDetails], Awaitable[Handler | None]]
Behavior = Callable[[Any, Call], Awaitable[Any]]
"""Takes the body, or the stream of bodies, and the call; returns the answer, or writes its answers to the call."""

QUIET = ("/grpc.health.", "/grpc.reflection.")
"""Probes and explorers call these all day: they are not counted as work, nor logged but for debugging."""


@dataclass(frozen=True, slots=True)
class Method:
    """One method, as its interceptors are built around it."""

    path: str
    parse: Callable[[bytes], Any] = unchanged
    serialize: Callable[[Any], Any] = unchanged
    takes_stream: bool = False
    answers_stream: bool = False
    answered: bool = True
    """Whether the server that was called has it."""

    @property
    def streams(self) -> bool:
        return self.takes_stream or self.answers_stream

    @property
    def quiet(self) -> bool:
        return self.path.startswith(QUIET)


class Interceptor(Protocol):
    """Is built around each method once, and runs around each of its calls from then on."""

    def around(self, method: Method, proceed: Behavior) -> Behavior:
        """What to do in place of `proceed`, which goes on with the call; `proceed` itself leaves the method alone."""
        ...


class Chain(grpc.aio.ServerInterceptor):
    """All interceptors as the one that gRPC is given.

    gRPC would compose them for each call again, and once for each kind of method.
    It hands over bodies and takes answers as bytes: to a body that cannot be parsed and for an answer that cannot be
    serialized it would answer UNKNOWN, with the error's text.
    """

    def __init__(self, interceptors: Sequence[Interceptor]) -> None:
        self.interceptors = interceptors
        self._handlers: dict[str, Handler] = {}

    def for_another_server(self) -> "Chain":
        """With the same interceptors, and so the same limits and counts, around the methods that this server has."""
        return Chain(self.interceptors)

    async def intercept_service(
        self, continuation: Continuation, handler_call_details: grpc.HandlerCallDetails
    ) -> Handler:
        path = handler_call_details.method
        if not fits(handler_call_details.invocation_metadata):
            return self._built(path, None, metadata_fits=False)
        built = self._handlers.get(path)
        if built is None:
            found = await continuation(handler_call_details)
            built = self._built(path, found)
            if found is not None:  # callers could make up names without end
                self._handlers[path] = built
        return built

    def _built(self, path: str, handler: Handler | None, *, metadata_fits: bool = True) -> Handler:
        method = _method(path, handler)
        proceed = _behavior(handler) if handler is not None else unknown
        for interceptor in reversed(self.interceptors):
            proceed = interceptor.around(method, proceed)

        async def answer(request: Any, context: Any) -> Any:
            call = Call(context, path, method.serialize, metadata_fits=metadata_fits)
            call.set_trailing_metadata((("x-request-id", call.id),))
            return await proceed(request, call)

        return _handler(method, answer)


def _method(path: str, handler: Handler | None) -> Method:
    if handler is None:
        return Method(path, takes_stream=True, answers_stream=True, answered=False)
    parse, serialize = handler.request_deserializer or unchanged, handler.response_serializer or unchanged
    return Method(path, parse, serialize, bool(handler.request_streaming), bool(handler.response_streaming))


def _behavior(handler: Handler) -> Behavior:
    """The handler's one function, which answers or writes; a generator's answers are written for it."""
    found: Any = handler.unary_unary or handler.unary_stream or handler.stream_unary or handler.stream_stream
    if not inspect.isasyncgenfunction(found):
        behavior: Behavior = found
        return behavior
    answers: Callable[[Any, Call], Any] = found

    async def writing(request: Any, call: Call) -> None:
        async with aclosing(answers(request, call)) as responses:
            async for response in responses:
                await call.write(response)

    return writing


async def unknown(_request: Any, call: Call) -> Any:
    """The answer of a method that there is not; raises MethodUnknown."""
    raise MethodUnknown(method=printable(call.method.removeprefix("/")))


def _handler(method: Method, answer: Callable[[Any, Any], Awaitable[Any]]) -> Handler:
    # All as takers of streams: of a method that takes one message, gRPC would read that before it calls any
    # interceptor.
    make = grpc.stream_stream_rpc_method_handler if method.answers_stream else grpc.stream_unary_rpc_method_handler
    handler: Handler = make(answer)
    return handler

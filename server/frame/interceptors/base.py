"""What every interceptor is made of: something that stands around a call, whatever kind of call it is."""

import inspect
from abc import abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Any, TypeAlias

import grpc

from server.frame.call import Call

if TYPE_CHECKING:
    Handler: TypeAlias = grpc.RpcMethodHandler[Any, Any]
else:
    Handler = grpc.RpcMethodHandler
Continuation = Callable[[grpc.HandlerCallDetails], Awaitable[Handler | None]]
Behaviour = Callable[[Any, Any], Any]


class Interceptor(grpc.aio.ServerInterceptor):
    """Stands around each call: what `around` raises, or lets rise, is what the call ends with."""

    @abstractmethod
    def around(self, call: Call, handler: Handler) -> AbstractAsyncContextManager[None]:
        """What stands around one call of this handler."""

    async def intercept_service(
        self,
        continuation: Continuation,
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Handler:
        handler = await continuation(handler_call_details)
        assert handler is not None  # noqa: S101 - the innermost interceptor answers for methods that do not exist
        method = handler_call_details.method

        def enter(context: Any) -> tuple[Call, AbstractAsyncContextManager[None]]:
            call = context if isinstance(context, Call) else Call(context, method)
            return call, self.around(call, handler)

        return rebuilt(handler, _surrounded(behaviour_of(handler), enter))


def behaviour_of(handler: Handler) -> Behaviour:
    """The handler's one function, whatever kind of call it answers."""
    found = handler.unary_unary or handler.unary_stream or handler.stream_unary or handler.stream_stream
    assert found is not None  # noqa: S101 - a handler has exactly one
    return found


def rebuilt(handler: Handler, behaviour: Behaviour, *, raw: bool = False, answers_raw: bool = False) -> Handler:
    """The same handler with another function; a raw one is handed the body unparsed, or answers with bytes."""
    deserializer = None if raw else handler.request_deserializer
    serializer = None if answers_raw else handler.response_serializer
    kinds = {
        (False, False): grpc.unary_unary_rpc_method_handler,
        (False, True): grpc.unary_stream_rpc_method_handler,
        (True, False): grpc.stream_unary_rpc_method_handler,
        (True, True): grpc.stream_stream_rpc_method_handler,
    }
    kind: Any = kinds[handler.request_streaming, handler.response_streaming]
    rebuilt_handler: Handler = kind(behaviour, deserializer, serializer)
    return rebuilt_handler


def _surrounded(
    behaviour: Behaviour, enter: Callable[[Any], tuple[Call, AbstractAsyncContextManager[None]]]
) -> Behaviour:
    async def answering(request: Any, context: Any) -> Any:
        call, around = enter(context)
        async with around:
            return await behaviour(request, call)

    async def streaming(request: Any, context: Any) -> AsyncIterator[Any]:
        call, around = enter(context)
        async with around:
            async for response in behaviour(request, call):
                yield response

    # A streaming method may be a coroutine that writes by itself, as the standard health service's Watch is.
    return streaming if inspect.isasyncgenfunction(behaviour) else answering

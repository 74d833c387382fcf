"""How calls end, and after how long, for whoever writes it down."""

from collections.abc import Callable
from time import perf_counter
from typing import Any

import grpc

from server.frame.call import Call
from server.frame.interceptors.base import Behavior

_CODES = {code.value[0]: code.name for code in grpc.StatusCode}


def observed(proceed: Behavior, observe: Callable[[Call, str, float], None]) -> Behavior:
    """The same, and `observe` is handed each call's code and its seconds, whatever becomes of it."""

    async def observing(request: Any, call: Call) -> Any:
        began = perf_counter()
        code = "CANCELLED"
        try:
            answer = await proceed(request, call)
            code = ended_with(call)
        except grpc.aio.AbortError:
            code = ended_with(call)
            raise
        finally:
            observe(call, code, perf_counter() - began)
        return answer

    return observing


def ended_with(call: Call) -> str:
    """The name of the code that a call ended with, which gRPC keeps as an enum, as a number, or not at all."""
    code = call.code()
    return code.name if isinstance(code, grpc.StatusCode) else _CODES.get(code or 0, "UNKNOWN")

"""One log line a call: what was called, by whom, how it ended, and how long it took. Never what was said."""

from time import perf_counter
from typing import Any

import grpc
import structlog

from server.frame.call import Call
from server.frame.interceptors.base import Behaviour, Method

_CODES = {code.value[0]: code.name for code in grpc.StatusCode}


class RequestLog:
    """Outermost, so that a call is logged whatever becomes of it, and its time is the whole time."""

    def __init__(self, logger: structlog.typing.FilteringBoundLogger) -> None:
        self._logger: structlog.typing.FilteringBoundLogger = logger.bind()  # a lazy one would be bound at each line

    def around(self, method: Method, proceed: Behaviour) -> Behaviour:
        write = self._logger.debug if method.quiet else self._logger.info

        async def logged(request: Any, call: Call) -> Any:
            began = perf_counter()
            call.set_trailing_metadata((("x-request-id", call.id),))
            code = "CANCELLED"
            try:
                answer = await proceed(request, call)
                code = ended_with(call)
            except grpc.aio.AbortError:
                code = ended_with(call)
                raise
            finally:
                line = _line(call, code, perf_counter() - began)
                if call.fault:
                    self._logger.error("call", **line, fault=call.fault)
                else:
                    write("call", **line)
            return answer

        return logged


def _line(call: Call, code: str, seconds: float) -> dict[str, object]:
    line: dict[str, object] = {
        "method": call.method,
        "code": code,
        "duration_ms": round(seconds * 1000, 2),
        "caller": str(call.caller.account_id) if call.caller.signed_in else None,
        "request_id": call.id,
        "trace_id": call.trace_id,
    }
    if call.refused_for:
        line["reason"] = call.refused_for
    return line


def ended_with(call: Call) -> str:
    """The name of the code that a call ended with, which gRPC keeps as an enum, as a number, or not at all."""
    code = call.code()
    return code.name if isinstance(code, grpc.StatusCode) else _CODES.get(code or 0, "UNKNOWN")

"""One log line a call: what was called, by whom, how it ended, and how long it took. Never what was said."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from time import perf_counter

import grpc
import structlog

from server.frame.call import Call
from server.frame.interceptors.base import Handler, Interceptor

QUIET = ("/grpc.health.", "/grpc.reflection.")
"""Probes and explorers call these all day: they are logged at the level of debugging."""


class RequestLog(Interceptor):
    """Outermost, so that a call is logged whatever becomes of it, and its time is the whole time."""

    def __init__(self, logger: structlog.typing.FilteringBoundLogger) -> None:
        self._logger = logger

    @asynccontextmanager
    async def around(self, call: Call, handler: Handler) -> AsyncIterator[None]:
        began = perf_counter()
        call.set_trailing_metadata((("x-request-id", call.id),))
        code = "CANCELLED"
        try:
            yield
            code = ended_with(call)
        except grpc.aio.AbortError:
            code = ended_with(call)
            raise
        finally:
            self._write(call, code, perf_counter() - began)

    def _write(self, call: Call, code: str, seconds: float) -> None:
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
        if call.fault:
            self._logger.error("call", **line, fault=call.fault)
        elif call.method.startswith(QUIET):
            self._logger.debug("call", **line)
        else:
            self._logger.info("call", **line)


def ended_with(call: Call) -> str:
    """The name of the code that a call ended with, which gRPC keeps as an enum, as a number, or not at all."""
    code = call.code()
    if isinstance(code, grpc.StatusCode):
        return code.name
    return next((known.name for known in grpc.StatusCode if known.value[0] == (code or 0)), "UNKNOWN")

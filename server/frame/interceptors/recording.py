"""Every call is timed once, whatever becomes of it, for the log and the metrics."""

from time import perf_counter
from typing import Any

import grpc

from server.frame.call import Call
from server.frame.interceptors.base import Behavior, Method
from server.frame.interceptors.metrics import Metrics
from server.frame.interceptors.request_log import RequestLog

_CODES = {code.value[0]: code.name for code in grpc.StatusCode}


class Recording:
    """Around all the rest but what counts calls, so that its time is the whole time, and its code the caller's."""

    def __init__(self, log: RequestLog, metrics: Metrics) -> None:
        self._log = log
        self._metrics = metrics

    def around(self, method: Method, proceed: Behavior) -> Behavior:
        counts, log = self._metrics.counts_of(method), self._log.writing(method)

        async def recorded(request: Any, call: Call) -> Any:
            counts.started += 1
            began = perf_counter()
            code = "CANCELLED"
            try:
                answer = await proceed(request, call)
                code = _code_of(call)
            except grpc.aio.AbortError:
                code = _code_of(call)
                raise
            finally:
                seconds = perf_counter() - began
                counts.end(code, seconds)
                log(call, code, seconds)
            return answer

        return recorded


def _code_of(call: Call) -> str:
    """The name of the code that a call ended with, which gRPC keeps as an enum, as a number, or not at all."""
    code = call.code()
    return code.name if isinstance(code, grpc.StatusCode) else _CODES.get(code or 0, "UNKNOWN")

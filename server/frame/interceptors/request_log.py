"""One log line a call: what was called, by whom, how it ended, and how long it took. Never what was said."""

import structlog

from server.frame.call import Call
from server.frame.errors import printable
from server.frame.interceptors.base import Behavior, Method
from server.frame.interceptors.ending import observed


class RequestLog:
    """Outermost, so that a call is logged whatever becomes of it, and its time is the whole time."""

    def __init__(self, logger: structlog.typing.FilteringBoundLogger) -> None:
        self._logger: structlog.typing.FilteringBoundLogger = logger.bind()  # a lazy one would be bound at each line

    def around(self, method: Method, proceed: Behavior) -> Behavior:
        named = printable(method.path)  # of a method that there is not, it is the caller's own text
        write = self._logger.debug if method.quiet else self._logger.info

        def observe(call: Call, code: str, seconds: float) -> None:
            line = _line(named, call, code, seconds)
            if call.fault:
                self._logger.error("call", **line, fault=call.fault)
            else:
                write("call", **line)

        return observed(proceed, observe)


def _line(method: str, call: Call, code: str, seconds: float) -> dict[str, object]:
    line: dict[str, object] = {
        "method": method,
        "code": code,
        "duration_ms": round(seconds * 1000, 2),
        "caller": str(call.caller.account_id) if call.caller.signed_in else None,
        "source": call.address,
        "call_id": call.id,
        "trace_id": call.trace_id,
    }
    if call.refused_for:
        line["reason"] = call.refused_for
    return line

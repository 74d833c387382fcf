"""One log line a call: what was called, by whom, how it ended, and how long it took. Never a call's content."""

from collections.abc import Callable

import structlog

from server.frame.call import Call
from server.frame.errors import printable
from server.frame.interceptors.base import Method


class RequestLog:
    """Writes the line of each call."""

    def __init__(self, logger: structlog.typing.FilteringBoundLogger) -> None:
        self._logger: structlog.typing.FilteringBoundLogger = logger.bind()  # a lazy one would be bound at each line

    def writing(self, method: Method) -> Callable[[Call, str, float], None]:
        """Writes the line of a call of this method, with its code and its seconds."""
        named = printable(method.path)  # of a method that there is not, it is the caller's own text
        write = self._logger.debug if method.quiet else self._logger.info

        def written(call: Call, code: str, seconds: float) -> None:
            line = _line(named, call, code, seconds)
            if call.fault:
                self._logger.error("call", **line, fault=call.fault)
            else:
                write("call", **line)

        return written


def _line(method: str, call: Call, code: str, seconds: float) -> dict[str, object]:
    line: dict[str, object] = {
        "method": method,
        "code": code,
        "duration_ms": round(seconds * 1000, 2),
        "caller": call.caller.account if call.caller.signed_in else None,
        "source": call.address,
        "call_id": call.id,
        "trace_id": call.trace_id,
    }
    if call.refused_for:
        line["reason"] = call.refused_for
    return line

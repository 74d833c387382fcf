"""No call lasts forever: the caller's deadline, or the server's own where that is nearer."""

from typing import Any

from server.frame.call import Call
from server.frame.interceptors.base import Behavior, Method
from server.frame.timeouts import Timeouts


class Deadline:
    """Inside of the refusals, which turn its TimeoutError into a status.

    A stream may last as long as its caller wants: it has the caller's deadline alone.
    """

    def __init__(self, seconds: float, timeouts: Timeouts) -> None:
        self._seconds = seconds
        self._timeouts = timeouts

    def around(self, method: Method, proceed: Behavior) -> Behavior:
        if method.streams:
            return proceed

        async def ending(request: Any, call: Call) -> Any:
            remaining: float | None = call.time_remaining()
            with self._timeouts.within(self._seconds if remaining is None else min(remaining, self._seconds)):
                return await proceed(request, call)

        return ending

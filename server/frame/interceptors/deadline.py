"""No call goes on for ever: the caller's deadline, or the server's own where that is nearer."""

import asyncio
from typing import Any

from server.frame.call import Call
from server.frame.interceptors.base import Behavior, Method


class Deadline:
    """Inside of the refusals, which turn its TimeoutError into a status.

    A stream may last as long as its caller wants: it has the caller's deadline alone.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    def around(self, method: Method, proceed: Behavior) -> Behavior:
        if method.streams:
            return proceed

        async def ending(request: Any, call: Call) -> Any:
            remaining: float | None = call.time_remaining()
            async with asyncio.timeout(self._seconds if remaining is None else min(remaining, self._seconds)):
                return await proceed(request, call)

        return ending

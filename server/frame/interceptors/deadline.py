"""No call goes on for ever: the caller's deadline, or the server's own where that is nearer."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from server.frame.call import Call
from server.frame.interceptors.base import Handler, Interceptor


class Deadline(Interceptor):
    """Inside of the refusals, which turn its TimeoutError into a status.

    A stream may last as long as its caller wants: it has the caller's deadline alone.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    @asynccontextmanager
    async def around(self, call: Call, handler: Handler) -> AsyncIterator[None]:
        if handler.request_streaming or handler.response_streaming:
            yield
            return
        remaining: float | None = call.time_remaining()
        async with asyncio.timeout(self._seconds if remaining is None else min(remaining, self._seconds)):
            yield

"""Counts the calls that must end before the server may stop."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from server.frame.call import Call
from server.frame.interceptors.base import Handler, Interceptor
from server.frame.interceptors.request_log import QUIET


class InFlight(Interceptor):
    """Health and reflection do not count: a health watch lasts as long as the server does."""

    def __init__(self) -> None:
        self._count = 0
        self._idle = asyncio.Event()
        self._idle.set()

    @asynccontextmanager
    async def around(self, call: Call, handler: Handler) -> AsyncIterator[None]:
        if call.method.startswith(QUIET):
            yield
            return
        self._count += 1
        self._idle.clear()
        try:
            yield
        finally:
            self._count -= 1
            if not self._count:
                self._idle.set()

    async def idle(self) -> None:
        """Returns when no call is in flight."""
        await self._idle.wait()

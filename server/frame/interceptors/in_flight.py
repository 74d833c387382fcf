"""Counts the calls that must end before the server may stop."""

import asyncio
from typing import Any

from server.frame.call import Call
from server.frame.interceptors.base import Behavior, Method


class InFlight:
    """Health and reflection do not count: a health watch lasts as long as the server does."""

    def __init__(self) -> None:
        self._count = 0
        self.ended = 0
        """How many calls were in flight and are no more."""
        self._idle = asyncio.Event()
        self._idle.set()

    def around(self, method: Method, proceed: Behavior) -> Behavior:
        if method.quiet:
            return proceed

        async def counted(request: Any, call: Call) -> Any:
            self._count += 1
            self._idle.clear()
            # Its task ends once the answer has left, after it was returned here. gRPC's own callbacks refer to the call
            # in a circle, which would keep it until the next collection.
            task = asyncio.current_task()
            assert task is not None  # noqa: S101 - a call runs in a task
            task.add_done_callback(self._ended)
            return await proceed(request, call)

        return counted

    def _ended(self, _: object) -> None:
        self._count -= 1
        self.ended += 1
        if not self._count:
            self._idle.set()

    @property
    def count(self) -> int:
        """How many calls are in flight."""
        return self._count

    async def idle(self) -> None:
        """Returns when no call is in flight."""
        await self._idle.wait()

"""How much of the event loop requests may take, of all connections together."""

import asyncio
from collections import deque
from time import perf_counter
from typing import Protocol

_SHARE_SECONDS = 0.002
"""Of one pass of the event loop: calls are answered in the same loop, each within a few passes."""
_REQUEST_SECONDS = 0.001
"""What it takes to answer a request, which is done behind its reading, in a task of its own."""


class Reader(Protocol):
    def read_on(self) -> int:
        """Reads some of what has come, for about a millisecond; asks for another turn where there is more.

        Returns how many requests have begun by it, of which each is answered in this pass or the next.
        """


class ReadScheduler:
    """Lets one connection after the other read on, and gives the loop back in between."""

    def __init__(self) -> None:
        self._waiting: deque[Reader] = deque()
        self._spent = 0.0
        self._reading = False
        self._next: asyncio.Handle | None = None

    def ask(self, reader: Reader) -> None:
        """At once where nobody waits and this pass's share is not used up; otherwise in a later pass."""
        if self._reading or self._waiting or self._spent >= _SHARE_SECONDS:
            self._waiting.append(reader)
        else:
            self._give(reader)
        if self._next is None:
            self._next = asyncio.get_running_loop().call_soon(self._begin)

    def _begin(self) -> None:
        """A new pass of the loop."""
        self._next = None
        self._spent = 0.0
        while self._waiting and self._spent < _SHARE_SECONDS:
            self._give(self._waiting.popleft())
        if self._waiting or self._spent:
            self._next = asyncio.get_running_loop().call_soon(self._begin)

    def _give(self, reader: Reader) -> None:
        began, requests = perf_counter(), 0
        self._reading = True
        try:
            requests = reader.read_on()
        finally:
            self._reading = False
            self._spent += perf_counter() - began + requests * _REQUEST_SECONDS

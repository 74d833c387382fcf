"""The calls of a connection: what each sends and receives, and how it ends."""

import asyncio
import math
from collections import deque
from struct import Struct
from typing import Protocol

from load.statuses import Failed

_PREFIX = Struct(">BI")


class NotSent(ConnectionError):
    """The server has not processed the call, and will not: it can be retried on another connection."""


class Reset(ConnectionError):
    """The server reset this call only; its outcome is unknown."""


class Call(Protocol):
    """A call, as its connection uses it."""

    ends_at: float
    """By the event loop's clock."""
    received: int
    """In bytes: received data for which the server's window has not been widened yet."""

    @property
    def given_up(self) -> bool:
        """Whether no caller waits for it any more."""

    def begin(self, number: int) -> None:
        """Starts it, as the stream of this number."""

    def take(self, payload: bytes) -> None:
        """Receives a part of the response."""

    def end(self, error: Exception | None) -> None:
        """Ends it; None means success."""


class StreamTransport(Protocol):
    """The connection, as a stream uses it."""

    def say(self, number: int, payload: bytes, *, ends: bool) -> None: ...

    def cancel(self, number: int, error: Exception | None = None) -> None: ...


def framed(message: bytes) -> bytes:
    """A message as gRPC sends it: uncompressed, after its length."""
    return _PREFIX.pack(0, len(message)) + message


class Unary:
    """One request, one response."""

    __slots__ = ("_parts", "answer", "ends_at", "received")

    def __init__(self, answer: "asyncio.Future[bytes]", ends_at: float) -> None:
        self.answer = answer
        self.ends_at = ends_at
        self.received = 0
        self._parts: list[bytes] = []

    @property
    def given_up(self) -> bool:
        return self.answer.done()

    def begin(self, number: int) -> None:
        """Its request is sent without further calls."""

    def take(self, payload: bytes) -> None:
        self._parts.append(payload)

    def end(self, error: Exception | None) -> None:
        if self.answer.done():
            return
        if error is not None:
            self.answer.set_exception(error)
            return
        body = self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)
        if len(body) < _PREFIX.size or _PREFIX.unpack_from(body) != (0, len(body) - _PREFIX.size):
            self.answer.set_exception(Failed("INTERNAL", "the answer is not one uncompressed message"))
        else:
            self.answer.set_result(body[_PREFIX.size :])


class Stream:
    """Messages in both directions, for one task that sends and one that receives."""

    def __init__(self, transport: StreamTransport) -> None:
        self.ends_at = math.inf
        self.received = 0
        self.given_up = False
        self.begun = asyncio.Event()
        self._transport = transport
        self._number = 0
        self._buffer = bytearray()
        self._messages: deque[bytes] = deque()
        self._sending = True
        self._ended = False
        self._error: Exception | None = None
        self._arrived = asyncio.Event()

    def send(self, message: bytes) -> None:
        """Sends once the server has room for it; raises the error that ended the call, if any."""
        if self._ended or not self._sending:
            raise self._error or NotSent("the call has ended")
        self._transport.say(self._number, framed(message), ends=False)

    def end_sending(self) -> None:
        """Signals that no message will follow."""
        if self._sending and not self._ended:
            self._sending = False
            self._transport.say(self._number, b"", ends=True)

    async def receive(self) -> bytes | None:
        """The next message; None after the last. Raises Refused, Failed, or ConnectionError."""
        while not self._messages:
            if self._error is not None:
                raise self._error
            if self._ended:
                return None
            self._arrived.clear()
            await self._arrived.wait()
        return self._messages.popleft()

    def cancel(self) -> None:
        """Ends the call now, on both sides."""
        self.given_up = True
        if not self._ended:
            self._transport.cancel(self._number)

    def begin(self, number: int) -> None:
        self._number = number
        self.begun.set()

    def take(self, payload: bytes) -> None:
        self._buffer += payload
        while len(self._buffer) >= _PREFIX.size:
            compressed, size = _PREFIX.unpack_from(self._buffer)
            if compressed:
                self._transport.cancel(self._number, Failed("INTERNAL", "a compressed message"))
                return
            if len(self._buffer) < _PREFIX.size + size:
                return
            self._messages.append(bytes(self._buffer[_PREFIX.size : _PREFIX.size + size]))
            del self._buffer[: _PREFIX.size + size]
            self._arrived.set()

    def end(self, error: Exception | None) -> None:
        if error is None and self._buffer:
            error = Failed("INTERNAL", "the last message is not whole")
        self._ended = True
        self._error = error
        self.begun.set()
        self._arrived.set()

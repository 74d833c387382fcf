"""One connection of the HTTP side, which ends by itself when its caller does not do its part."""

import asyncio
import os
import socket
from contextlib import suppress
from dataclasses import dataclass, field

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from server.process.http.parsing import Parser
from server.process.http.scheduling import ReadScheduler
from server.process.http.sending import FileSender

REQUEST_SECONDS = 10.0
"""In seconds: how long a whole request may take to arrive, its headers and its body."""
_ANSWER_SECONDS = 30.0
"""In seconds: how long its answer may take, with the time that the caller takes to read it."""
_MAX_REQUESTS = 1000
"""Of one connection, which ends with the answer to the last one: those with more requests queue again."""


@dataclass
class LastingAnswers:
    """The connections of which the answer goes on for as long as it likes, and how many there may be."""

    most: int
    connections: set["Connection"] = field(default_factory=set)


class _SentBytes:
    """Bytes of a body that h11 counts, and that do not pass through it."""

    def __init__(self, count: int) -> None:
        self._count = count

    def __len__(self) -> int:
        return self._count


class Connection(H11Protocol):
    """uvicorn waits for a request as long as single bytes of it keep coming; here its whole time is bounded.

    The first request's time counts from the connection on, a further one's from its first byte.
    Nor does it read all that has come in one go: a request is bounded in its pieces, and read in turns with others.
    """

    conn: Parser

    def __init__(
        self,
        config: uvicorn.Config,
        state: ServerState,
        awaited: dict["Connection", None],
        lasting: "LastingAnswers",
        scheduler: ReadScheduler,
        sender: FileSender,
        *,
        request_within: float = REQUEST_SECONDS,
    ) -> None:
        """`awaited` has the connections whose request is due, the oldest first."""
        super().__init__(
            config, state, {"stay_open": self._stay_open, "take_body": self._take_body, "give_up": self.give_up}
        )
        self._lasting = lasting
        self.conn = Parser()
        self._awaited = awaited
        self._scheduler = scheduler
        self._sender = sender
        self._file_reader: socket.socket | None = None
        self._enqueued = False
        self._request_within = request_within
        self._begun = True
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        super().connection_made(transport)
        if self.scheme == "http":
            self.app_state["send_file"] = self._send_file
        self._await_request()

    def data_received(self, data: bytes) -> None:
        if not self._begun:
            self._begun = True
            self._await_request()
        super().data_received(data)

    def handle_events(self) -> None:
        if not self._enqueued:
            self._enqueued = True
            self._scheduler.enqueue(self)

    def read_on(self) -> int:
        """Takes its turn, and returns how many requests have begun."""
        self._enqueued = False
        if self.transport.is_closing():
            return 0
        begun = self.conn.requests
        self.conn.go_on()
        super().handle_events()
        if self.conn.is_bounded and not self.transport.is_closing():
            self.transport.pause_reading()
            self.handle_events()
        elif not self.flow.read_paused and not self.transport.is_closing():
            self.transport.resume_reading()
        if self.conn.requests >= _MAX_REQUESTS:
            self.cycle.keep_alive = False
        self._look()
        return self.conn.requests - begun

    def send_400_response(self, msg: str) -> None:
        """Ends the connection, whatever its answer has come to; nothing more is sent for the request under way."""
        if self.cycle is not None and not self.cycle.response_complete:
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            super().send_400_response(msg)
        else:
            self.transport.close()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._lasting.connections.discard(self)
        self._begun = self.conn.trailing_data[0] != b""
        if self not in self._awaited:  # its body may still be on its way, unread
            self._await_request()
        self._look()

    def connection_lost(self, exc: Exception | None) -> None:
        self._set_timer(None)
        self._awaited.pop(self, None)
        self._lasting.connections.discard(self)
        if self._file_reader is not None:
            with suppress(OSError):  # the other side was faster
                self._file_reader.shutdown(socket.SHUT_RDWR)
        super().connection_lost(exc)

    def give_up(self) -> None:
        """Ends the connection immediately, whatever is still to be sent."""
        self.transport.abort()

    async def _send_file(self, file: int, offset: int, length: int, within: float) -> None:
        """The body's next bytes, behind what the transport has still to send; see `SendFile`."""
        self.conn.send_with_data_passthrough(h11.Data(data=_SentBytes(length)))  # type: ignore[arg-type]  # as h11 has it
        self.transport.set_write_buffer_limits(0)
        async with asyncio.timeout(within):
            await self.flow.drain()
        if self.transport.is_closing():
            raise ConnectionResetError
        # A descriptor of its own: the transport's may be another connection's by the time that a thread writes to it.
        with socket.socket(fileno=os.dup(self.transport.get_extra_info("socket").fileno())) as reader:
            self._file_reader = reader
            try:
                await self._sender.send(reader, file, offset, length, within)
            finally:
                self._file_reader = None
        self.transport.set_write_buffer_limits()

    def _stay_open(self) -> bool:
        """Gives the answer under way all the time that it wants; False where too many others have it."""
        if self.transport.is_closing() or len(self._lasting.connections) >= self._lasting.most:
            return False
        self._lasting.connections.add(self)
        self._set_timer(None)
        return True

    def _take_body(self) -> bool:
        """Gives the request under way all the time and bytes that it wants, and its answer, too; False as above."""
        if not self._stay_open():
            return False
        self._awaited.pop(self, None)
        self.conn.take_all()
        return True

    def _look(self) -> None:
        """Once the request is there, it is the answer's turn."""
        if self in self._awaited and self.conn.their_state not in (h11.IDLE, h11.SEND_BODY):
            del self._awaited[self]
            self._set_timer(_ANSWER_SECONDS)

    def _await_request(self) -> None:
        self._awaited.pop(self, None)
        self._awaited[self] = None
        self._set_timer(self._request_within)

    def _set_timer(self, seconds: float | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None if seconds is None else self.loop.call_later(seconds, self.give_up)

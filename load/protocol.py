"""The receiving half of an HTTP/2 connection, and its lifetime."""

import asyncio
from collections.abc import Callable
from typing import cast

from load import frames
from load.blocks import BlockReader
from load.calls import NotSent, Reset
from load.frames import ErrorCode, FrameReader, Malformed, Setting, Type
from load.sending import Sender
from load.statuses import Failed, failure_in
from load.under_way import UnderWay

_POLL_SECONDS = 1.0
"""In seconds: how often calls are checked for timeouts and missing callers."""


class Http2(asyncio.Protocol):
    """One connection; `calls` are its calls under way."""

    def __init__(self, loop: asyncio.AbstractEventLoop, window: int) -> None:
        """`window`, in bytes, is how much may arrive, in all and for each call, until the server gets more."""
        self.ready: asyncio.Future[None] = loop.create_future()
        """Done once the server speaks HTTP/2."""
        self.gone: asyncio.Future[None] = loop.create_future()
        """Done once the connection has ended."""
        self._loop = loop
        self._window = window
        self._sender = Sender(loop)
        self.calls = UnderWay(self._sender)
        self._frames = FrameReader()
        self._blocks = BlockReader()
        self._unfinished: tuple[int, int, bytes] | None = None
        self._received = 0
        self._on: dict[int, Callable[[int, int, bytes], None]] = {
            Type.DATA: self._on_data,
            Type.HEADERS: self._on_headers,
            Type.RST_STREAM: self._on_reset,
            Type.SETTINGS: self._on_settings,
            Type.PUSH_PROMISE: self._on_push,
            Type.PING: self._on_ping,
            Type.GOAWAY: self._on_goaway,
            Type.WINDOW_UPDATE: self._on_window_update,
            Type.CONTINUATION: self._on_continuation,
        }

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._sender.attach(cast(asyncio.Transport, transport))  # uvloop's transport is not a subclass
        self._checking = self._loop.call_later(_POLL_SECONDS, self._check)
        tls = transport.get_extra_info("ssl_object")
        if tls is not None and tls.selected_alpn_protocol() != "h2":
            self.close(ConnectionError("the server does not speak HTTP/2 over TLS"))
            return
        ours = {Setting.HEADER_TABLE_SIZE: 0, Setting.ENABLE_PUSH: 0, Setting.INITIAL_WINDOW_SIZE: self._window}
        self._sender.write(frames.PREFACE + frames.settings(ours))
        if self._window > frames.FIRST_WINDOW:
            self._sender.write(frames.window_update(0, self._window - frames.FIRST_WINDOW))

    def connection_lost(self, error: Exception | None) -> None:
        self._checking.cancel()
        self._sender.detach()
        self._end(ConnectionError(f"the connection broke: {error or 'the server closed it'}"))
        self.gone.set_result(None)

    def close(self, why: ConnectionError, code: ErrorCode = ErrorCode.NO_ERROR) -> None:
        """Closes the connection, and ends the calls under way with this error."""
        self._sender.close(frames.goaway(code))
        self._end(why)

    def data_received(self, received: bytes) -> None:
        on = self._on
        try:
            for kind, flags, number, payload in self._frames.feed(received):
                if self._unfinished is not None and kind != Type.CONTINUATION:
                    self._on_interruption()
                if kind in on:
                    on[kind](flags, number, payload)
        except Malformed as error:
            self.close(error, ErrorCode.PROTOCOL_ERROR)

    def _end(self, why: ConnectionError) -> None:
        self.calls.break_off(why)
        if not self.ready.done():
            self.ready.set_exception(why)

    def _check(self) -> None:
        self.calls.check_timeouts(self._loop.time())
        self._checking = self._loop.call_later(_POLL_SECONDS, self._check)

    def _on_data(self, flags: int, number: int, payload: bytes) -> None:
        size = len(payload)
        self._received += size
        if self._received * 2 >= self._window:
            self._sender.write(frames.window_update(0, self._received))
            self._received = 0
        call = self.calls.find(number)
        if call is None:
            return
        call.take(frames.content(flags & frames.PADDED, payload))
        if flags & frames.END_STREAM:
            self.calls.end(number, Failed("UNKNOWN", "the answer ended without a status"))
            return
        call.received += size
        if call.received * 2 >= self._window:
            self._sender.write(frames.window_update(number, call.received))
            call.received = 0

    def _on_headers(self, flags: int, number: int, payload: bytes) -> None:
        block = frames.content(flags & (frames.PADDED | frames.PRIORITY), payload)
        if flags & frames.END_HEADERS:
            self._on_block(flags, number, block)
        else:
            self._unfinished = (flags, number, block)

    def _on_continuation(self, flags: int, number: int, payload: bytes) -> None:
        if self._unfinished is None or self._unfinished[1] != number:
            raise Malformed("headers that go on where none began")
        first, _, block = self._unfinished
        if len(block) > frames.MAX_BLOCK:
            raise Malformed("a block of headers that does not end")
        if flags & frames.END_HEADERS:
            self._unfinished = None
            self._on_block(first, number, block + payload)
        else:
            self._unfinished = (first, number, block + payload)

    def _on_block(self, flags: int, number: int, block: bytes) -> None:
        if flags & frames.END_STREAM:
            well = self._blocks.ends_well(block)
            self.calls.end(number, None if well else failure_in(self._blocks.read(block)))
        elif not self._blocks.begins_well(block):
            self.calls.cancel(number, failure_in(self._blocks.read(block)))

    def _on_interruption(self) -> None:
        raise Malformed("a block of headers that is not finished")

    def _on_reset(self, _flags: int, number: int, payload: bytes) -> None:
        code = frames.read_number(payload)
        if code == ErrorCode.REFUSED_STREAM:
            self.calls.end(number, NotSent("the server did not take the call"))
        else:
            self.calls.end(number, Reset(f"the server broke the call off: {_named(code)}"))

    def _on_settings(self, flags: int, _number: int, payload: bytes) -> None:
        if flags & frames.ACK:
            return
        settings = frames.read_settings(payload)
        self._sender.adopt(settings)
        self._sender.write(frames.settings_ack())
        if Setting.MAX_CONCURRENT_STREAMS in settings:
            self.calls.limit(settings[Setting.MAX_CONCURRENT_STREAMS])
        if not self.ready.done():
            self.ready.set_result(None)

    def _on_push(self, _flags: int, _number: int, _payload: bytes) -> None:
        raise Malformed("a push, which was not allowed")

    def _on_ping(self, flags: int, _number: int, payload: bytes) -> None:
        if not flags & frames.ACK:
            self._sender.write(frames.ping_ack(payload))

    def _on_goaway(self, _flags: int, _number: int, payload: bytes) -> None:
        last, code, said = frames.read_goaway(payload)
        why = f"the server ends the connection: {_named(code)} {said.decode(errors='replace')}"
        self.calls.leave(last, ConnectionError(why.rstrip()))

    def _on_window_update(self, _flags: int, number: int, payload: bytes) -> None:
        self._sender.widen(number, frames.read_number(payload))


def _named(code: int) -> str:
    return ErrorCode(code).name if code in ErrorCode.__members__.values() else f"error {code}"

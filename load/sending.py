"""The sending half of an HTTP/2 connection: frames are written together, and never more than the peer has room for."""

import asyncio
from collections import deque
from collections.abc import Mapping

from load import frames
from load.frames import Malformed, Setting


class Sender:
    """Collects frames and writes them once per iteration of the event loop; DATA waits for the peer's windows."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._transport: asyncio.Transport | None = None
        self._written: list[bytes] = []
        self._window = frames.FIRST_WINDOW
        self._first_window = frames.FIRST_WINDOW
        self._largest = frames.MAX_FRAME
        self._windows: dict[int, int] = {}
        """By stream, of those that have yet to end."""
        self._waiting: dict[int, deque[tuple[bytes, bool]]] = {}
        """A stream's unsent data, and whether it ends the stream."""

    def attach(self, transport: asyncio.Transport) -> None:
        """Writes frames to this transport from now on."""
        self._transport = transport

    def detach(self) -> None:
        """Drops frames from now on: the connection has ended."""
        self._transport = None

    def close(self, last: bytes) -> None:
        """Sends a last frame, and closes the connection after it."""
        self.write(last)
        self.flush()
        if self._transport is not None:
            self._transport.close()

    def begin(self, stream: int) -> None:
        """Registers a stream whose parts are sent one by one."""
        self._windows[stream] = self._first_window

    def write(self, frame: bytes) -> None:
        """Sends a frame that flow control does not limit."""
        if not self._written:
            self._loop.call_soon(self.flush)
        self._written.append(frame)

    def flush(self) -> None:
        if self._transport is not None and self._written:
            self._transport.write(b"".join(self._written))
        self._written.clear()

    def data(self, stream: int, payload: bytes, *, ends: bool) -> None:
        """Sends a stream's data, in order, as soon as there is room for it."""
        size = len(payload)
        window = self._windows.get(stream, self._first_window)
        if stream in self._waiting or size > self._largest or size > window or size > self._window:
            self._windows[stream] = window
            self._waiting.setdefault(stream, deque()).append((payload, ends))
            self._send_waiting(stream)
            return
        self._window -= size
        self.write(frames.data(stream, payload, ends=ends))
        if ends:
            self._windows.pop(stream, None)
        else:
            self._windows[stream] = window - size

    def forget(self, stream: int) -> bool:
        """Drops the unsent data of a stream; returns whether there was any."""
        self._waiting.pop(stream, None)
        return self._windows.pop(stream, None) is not None

    def widen(self, stream: int, increment: int) -> None:
        """Widens the peer's window, for a stream or, with 0, for the connection."""
        if stream == 0:
            self._window += increment
            for waiting in list(self._waiting):
                self._send_waiting(waiting)
        elif stream in self._windows:
            self._windows[stream] += increment
            self._send_waiting(stream)

    def adopt(self, settings: Mapping[int, int]) -> None:
        """Applies the peer's settings; a new initial window also applies to open streams. Raises Malformed."""
        self._largest = settings.get(Setting.MAX_FRAME_SIZE, self._largest)
        first = settings.get(Setting.INITIAL_WINDOW_SIZE, self._first_window)
        if first > frames.MAX_WINDOW or self._largest < frames.MAX_FRAME:
            raise Malformed("SETTINGS with a value out of its bounds")
        more, self._first_window = first - self._first_window, first
        for stream in list(self._windows):
            self.widen(stream, more)

    def _send_waiting(self, stream: int) -> None:
        waiting = self._waiting.get(stream)
        while waiting:
            payload, ends = waiting[0]
            room = max(0, min(self._window, self._windows[stream], self._largest))
            if payload and not room:
                return
            part, rest = payload[:room], payload[room:]
            self._window -= len(part)
            self._windows[stream] -= len(part)
            self.write(frames.data(stream, part, ends=ends and not rest))
            if rest:
                waiting[0] = (rest, ends)
                continue
            waiting.popleft()
            if ends:
                del self._windows[stream]
        self._waiting.pop(stream, None)

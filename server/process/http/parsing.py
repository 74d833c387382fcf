"""HTTP/1.1 as outsiders send it: what one request may be made of, and how much of it is read at a time."""

import math
import re
from typing import Any

import h11

_MAX_HEAD_BYTES = 16 * 1024
"""In bytes, of a request's head; and of the lines behind a chunked body."""
_MAX_LINES = 100
"""Of either of them."""
_MAX_BYTES = 640 * 1024
"""Of a request as it is sent, with what is read ahead of the next one: the largest body there is takes 256 KiB."""
_FREE_PIECES = 512
_LEAST_PIECE = 64
"""In bytes: how large a request's pieces must be on average, beyond the free ones."""
_EVENTS_AT_ONCE = 64

_BLANK_LINE = re.compile(rb"\n\r?\n")
_ABSOLUTE = re.compile(rb"https?://[^/?]+", re.IGNORECASE)
_LAST_CHUNK = re.compile(rb"(?:\r?\n)?0+[ \t]*(?:;[^\n]*)?\r\n")


class Parser(h11.Connection):
    """h11, whose requests are bounded in more than their bytes: each line, chunk and read costs as much as many bytes.

    It reads a bounded number of pieces, and then says that it needs data, until `go_on`.
    """

    def __init__(self) -> None:
        super().__init__(h11.SERVER, _MAX_HEAD_BYTES)
        self.is_bounded = False
        """Whether there is more to read than was allowed in one go."""
        self.requests = 0
        """How many requests have begun."""
        self._left = _EVENTS_AT_ONCE
        self._most_bytes: float = _MAX_BYTES
        self._begin()

    def go_on(self) -> None:
        """Allows the next pieces."""
        self.is_bounded = False
        self._left = _EVENTS_AT_ONCE

    def take_all(self) -> None:
        """Lets the body under way be of any size; its pieces stay bounded in number by its bytes."""
        self._most_bytes = math.inf

    def receive_data(self, data: bytes) -> None:
        self._received += len(data)
        self._pieces += 1
        super().receive_data(data)

    def start_next_cycle(self) -> None:
        super().start_next_cycle()
        self._begin()

    def next_event(self) -> Any:
        """Raises RemoteProtocolError too where the request is made of too many pieces, or framed twice."""
        if self._left <= 0:
            self.is_bounded = True
            return h11.NEED_DATA
        self._check_bounds()
        event = super().next_event()
        if isinstance(event, h11.Request):
            self._left -= 1
            self.requests += 1
            event = _in_origin_form(event)
            self._chunked = self._between_chunks = _is_chunked(event)
        elif isinstance(event, h11.Data):
            self._left -= 1
            self._pieces += 1
            self._between_chunks = self._chunked and event.chunk_end
        return event

    def _begin(self) -> None:
        self._received = len(self.trailing_data[0])
        self._pieces = 0
        self._most_bytes = _MAX_BYTES
        self._chunked = self._between_chunks = self._in_trailers = False

    def _check_bounds(self) -> None:
        if self._received > self._most_bytes or self._pieces > _FREE_PIECES + self._received // _LEAST_PIECE:
            raise h11.RemoteProtocolError("the request is made of too much", error_status_hint=413)
        if self.their_state is h11.IDLE:
            _check_lines(self.trailing_data[0])
        elif self._between_chunks:
            waiting = self.trailing_data[0]
            last = None if self._in_trailers else _LAST_CHUNK.match(waiting)
            self._in_trailers = self._in_trailers or last is not None
            if self._in_trailers:
                _check_lines(waiting[last.end() if last else 0 :])


def _check_lines(waiting: bytes) -> None:
    """That what comes before a blank line is bounded: h11 would read all of it in one go, as long as it is complete."""
    if waiting[:2] == b"\r\n" or waiting[:1] == b"\n":
        return
    end = _BLANK_LINE.search(waiting, 0, _MAX_HEAD_BYTES)
    if (end is None and len(waiting) > _MAX_HEAD_BYTES) or waiting.count(
        b"\n", 0, end.end() if end else None
    ) > _MAX_LINES:
        raise h11.RemoteProtocolError("the head is too large", error_status_hint=431)


def _in_origin_form(request: h11.Request) -> h11.Request:
    """The same request with a path as its target, where it has a whole URL (RFC 9112, 3.2.2).

    Raises RemoteProtocolError where it is of another HTTP than 1.x, which h11 would answer as if it were.
    """
    if not request.http_version.startswith(b"1."):
        raise h11.RemoteProtocolError("another version of HTTP", error_status_hint=505)
    found = _ABSOLUTE.match(request.target)
    if found is None:
        return request
    rest = request.target[found.end() :]
    target = rest if rest.startswith(b"/") else b"/" + rest
    return h11.Request(
        method=request.method,
        headers=request.headers.raw_items(),
        target=target,
        http_version=request.http_version,
    )


def _is_chunked(request: h11.Request) -> bool:
    """Raises RemoteProtocolError where others would read another end of the body (RFC 9112, 6.1 and 6.3)."""
    names = {name for name, _ in request.headers}
    chunked = b"transfer-encoding" in names
    if chunked and (b"content-length" in names or request.http_version < b"1.1"):
        raise h11.RemoteProtocolError("the body is framed in two ways")
    return chunked

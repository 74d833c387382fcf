"""Reading from those who may say whatever they like, for as long as they like."""

import ssl
from typing import Any

import httpcore

_MOST_BYTES = 32 * 1024
_MOST_LINES = 256
_MOST_READS = 256
_PIECE = 4096
"""In bytes: how much is read, and then parsed, before the event loop is given back."""


class BoundedStream(httpcore.AsyncNetworkStream):
    """A connection on which each answer is bounded: in bytes, in lines, and in pieces.

    What is above it reads interim answers (1xx) without an end, and any number of headers.
    Of an answer that goes beyond, its beginning is read, and then the connection has failed.
    """

    def __init__(self, stream: httpcore.AsyncNetworkStream) -> None:
        self._stream = stream
        self._begin()

    def _begin(self) -> None:
        self._bytes, self._lines, self._reads = _MOST_BYTES, _MOST_LINES, _MOST_READS

    async def read(
        self,
        max_bytes: int,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore's
    ) -> bytes:
        """Raises RemoteProtocolError where the answer is longer than an answer may be."""
        if min(self._bytes, self._lines, self._reads) <= 0:
            raise httpcore.RemoteProtocolError("the answer is too long")
        found = await self._stream.read(min(max_bytes, _PIECE, self._bytes), timeout)
        if found.count(b"\n") >= self._lines:
            found = b"\n".join(found.split(b"\n", self._lines)[: self._lines]) + b"\n"
        self._bytes -= len(found)
        self._lines -= found.count(b"\n")
        self._reads -= 1
        return found

    async def write(
        self,
        buffer: bytes,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore's
    ) -> None:
        self._begin()  # what is read next is another answer
        await self._stream.write(buffer, timeout)

    async def aclose(self) -> None:
        await self._stream.aclose()

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore's
    ) -> httpcore.AsyncNetworkStream:
        return BoundedStream(await self._stream.start_tls(ssl_context, server_hostname, timeout))

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)

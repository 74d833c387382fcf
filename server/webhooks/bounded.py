"""Reading from those who may say whatever they like, for as long as they like."""

import ssl
from collections.abc import Callable, Mapping
from typing import Any

import httpcore
from anyio.abc import ByteStream

_MOST_BYTES = 32 * 1024
_MOST_LINES = 256
_MOST_READS = 256
_PIECE = 4096
"""In bytes: how much is read, and then parsed, before the event loop is given back."""
_MOST_BYTES_BENEATH = 128 * 1024
"""As they come from the network: TLS's own messages count too, of which OpenSSL takes any number, each at some cost."""


class BoundedStream(httpcore.AsyncNetworkStream):
    """A connection on which each answer is bounded: in bytes, in lines, and in pieces.

    What is above it reads interim answers (1xx) without an end, and any number of headers.
    Of an answer that goes beyond, its beginning is read, and then the connection has failed.
    """

    def __init__(self, stream: httpcore.AsyncNetworkStream, beneath: "_Beneath") -> None:
        """`beneath` is what `stream` reads from."""
        self._stream = stream
        self._beneath = beneath
        self._begin()

    @classmethod
    def over(cls, stream: httpcore.AsyncNetworkStream) -> "BoundedStream":
        """A connection of httpcore's AnyIOBackend, bounded from here on."""
        # TLS reads from what httpcore's stream stands on, which cannot be had in another way.
        on: Any = stream
        on._stream = beneath = _Beneath(on._stream)  # noqa: SLF001 - see above
        return cls(stream, beneath)

    def _begin(self) -> None:
        self._beneath.begin()
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
        return BoundedStream(await self._stream.start_tls(ssl_context, server_hostname, timeout), self._beneath)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


class _Beneath(ByteStream):
    """What comes from the network, whether HTTP ever sees it or not: bounded until the next request."""

    def __init__(self, stream: ByteStream) -> None:
        self._stream = stream
        self.begin()

    def begin(self) -> None:
        self._left = _MOST_BYTES_BENEATH

    async def receive(self, max_bytes: int = _PIECE) -> bytes:
        """Raises RemoteProtocolError where more comes than an answer may take."""
        if self._left <= 0:
            raise httpcore.RemoteProtocolError("the answer is too long")
        found = await self._stream.receive(min(max_bytes, _PIECE, self._left))
        self._left -= len(found)
        return found

    async def send(self, item: bytes) -> None:
        await self._stream.send(item)

    async def send_eof(self) -> None:
        await self._stream.send_eof()

    async def aclose(self) -> None:
        await self._stream.aclose()

    @property
    def extra_attributes(self) -> Mapping[Any, Callable[[], Any]]:
        return self._stream.extra_attributes

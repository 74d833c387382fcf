"""Reading from those who may say whatever they like, for as long as they like."""

import ssl
from collections.abc import Callable, Mapping
from typing import Any

import httpcore
from anyio.abc import ByteStream

_MAX_BYTES = 32 * 1024
_MAX_LINES = 256
_MAX_READS = 256
_BATCH_SIZE = 4096
"""In bytes: how much is read, and then parsed, before the event loop is given back."""
_MAX_NETWORK_BYTES = 128 * 1024
"""As they come from the network: TLS's own messages count too, of which OpenSSL takes any number, each at some cost."""


class BoundedStream(httpcore.AsyncNetworkStream):
    """A connection on which each answer is bounded: in bytes, in lines, and in pieces.

    What is above it reads interim answers (1xx) without an end, and any number of headers.
    Of an answer that goes beyond, its beginning is read, and then the connection has failed.
    """

    def __init__(self, stream: httpcore.AsyncNetworkStream, network_stream: "_BoundedNetworkStream") -> None:
        """`network_stream` is what `stream` reads from."""
        self._stream = stream
        self._network_stream = network_stream
        self._begin()

    @classmethod
    def over(cls, stream: httpcore.AsyncNetworkStream) -> "BoundedStream":
        """A connection of httpcore's AnyIOBackend, bounded from here on."""
        # TLS reads from what httpcore's stream stands on, which cannot be had in another way.
        on: Any = stream
        on._stream = network_stream = _BoundedNetworkStream(on._stream)  # noqa: SLF001 - see above
        return cls(stream, network_stream)

    def _begin(self) -> None:
        self._network_stream.begin()
        self._bytes, self._lines, self._reads = _MAX_BYTES, _MAX_LINES, _MAX_READS

    async def read(
        self,
        max_bytes: int,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore's
    ) -> bytes:
        """Raises RemoteProtocolError where the answer is longer than an answer may be."""
        if min(self._bytes, self._lines, self._reads) <= 0:
            raise httpcore.RemoteProtocolError("the answer is too long")
        found = await self._stream.read(min(max_bytes, _BATCH_SIZE, self._bytes), timeout)
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
        return BoundedStream(await self._stream.start_tls(ssl_context, server_hostname, timeout), self._network_stream)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


class _BoundedNetworkStream(ByteStream):
    """What comes from the network, whether HTTP ever sees it or not: bounded until the next request."""

    def __init__(self, stream: ByteStream) -> None:
        self._stream = stream
        self.begin()

    def begin(self) -> None:
        self._left = _MAX_NETWORK_BYTES

    async def receive(self, max_bytes: int = _BATCH_SIZE) -> bytes:
        """Raises RemoteProtocolError where more comes than an answer may take."""
        if self._left <= 0:
            raise httpcore.RemoteProtocolError("the answer is too long")
        found = await self._stream.receive(min(max_bytes, _BATCH_SIZE, self._left))
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

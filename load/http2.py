"""One HTTP/2 connection for gRPC, as cheap as Python can make it: it shares the processor with the measured server."""

import asyncio
import ssl
from collections.abc import Awaitable, Callable, Sequence
from typing import Self

from load.blocks import block_of
from load.calls import Stream, Unary, framed
from load.protocol import Http2

_OPEN_SECONDS = 10.0
"""In seconds: the timeout for the start of HTTP/2."""

_CLOSE_SECONDS = 0.1
"""In seconds: the timeout for the end of TLS, which gRPC's servers do not acknowledge."""

_WINDOW = 2**28
"""In bytes; more than a bench ever has under way."""


class Connection:
    """Any number of concurrent calls; those above the server's limit wait.

    When it ends, its calls end too: with NotSent if the server has not processed them, and with another
    ConnectionError if it may have.
    """

    def __init__(self, wire: Http2, headers: Sequence[tuple[str, str]], deadline: float) -> None:
        """Use `open`."""
        self._loop = asyncio.get_running_loop()
        self._wire = wire
        self._calls = wire.calls
        self._headers = headers
        self._deadline = deadline

    @classmethod
    async def open(
        cls,
        address: str,
        *,
        tls: ssl.SSLContext | None = None,
        server_name: str | None = None,
        metadata: Sequence[tuple[str, str]] = (),
        deadline: float = 30.0,
        window: int = _WINDOW,
    ) -> Self:
        """Connects to host:port and waits until HTTP/2 is established; raises ConnectionError.

        `tls` must offer h2 by ALPN; `server_name` is the name in the certificate if it is not the host.
        `metadata` is sent with each call. `deadline`, in seconds, applies to each unary call. `window`, in bytes, is
        how much may arrive, in all and for each call, until the server gets more.
        """
        host, _, port = address.rpartition(":")
        host = host.removeprefix("[").removesuffix("]")
        loop = asyncio.get_running_loop()
        wire = Http2(loop, window)
        name, closing = (server_name or host, _CLOSE_SECONDS) if tls else (None, None)
        try:
            async with asyncio.timeout(_OPEN_SECONDS):
                await loop.create_connection(
                    lambda: wire, host, int(port), ssl=tls, server_hostname=name, ssl_shutdown_timeout=closing
                )
                await wire.ready
        except OSError as error:  # as a timeout is, too
            wire.ready.cancel()
            wire.close(ConnectionError("it was not opened in time"))
            raise ConnectionError(f"{address}: {error or 'no answer in time'}") from error
        pseudo = ((":method", "POST"), (":scheme", "https" if tls else "http"), (":authority", server_name or address))
        plain = (("te", "trailers"), ("content-type", "application/grpc"), *metadata)
        return cls(wire, (*pseudo, *plain), deadline)

    @property
    def ending(self) -> bool:
        """Whether no further call can start: the server or the connection is closing."""
        return self._calls.ending is not None

    @property
    def idle(self) -> bool:
        """Whether no call is under way or waiting."""
        return self._calls.idle

    def method(self, path: str) -> Callable[[bytes], Awaitable[bytes]]:
        """A unary method, by its path such as /backroom.commerce.v1.OrderService/GetOrder: bytes in, bytes out.

        A call starts immediately. It raises Refused, Failed, or ConnectionError.
        """
        block = self._block(path, ("grpc-timeout", f"{round(self._deadline * 1000)}m"))
        calls, clock, deadline = self._calls, self._loop.time, self._deadline
        new_answer: Callable[[], asyncio.Future[bytes]] = self._loop.create_future

        def call(message: bytes) -> Awaitable[bytes]:
            answer = new_answer()
            calls.begin(Unary(answer, clock() + deadline), block, framed(message))
            return answer

        return call

    async def stream(self, path: str) -> Stream:
        """A call of a streaming method, once it can start; it lasts until it is ended."""
        stream = Stream(self._calls)
        self._calls.begin(stream, self._block(path), None)
        try:
            await stream.begun.wait()
        except asyncio.CancelledError:
            stream.cancel()
            raise
        return stream

    async def close(self) -> None:
        """Closes the connection, and ends the calls under way."""
        self._wire.close(ConnectionError("the connection was closed"))
        await self._wire.gone

    def _block(self, path: str, *more: tuple[str, str]) -> bytes:
        return block_of([(":path", path), *self._headers, *more])

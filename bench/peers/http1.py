"""An HTTP/1.1 client that costs a load generator as little as Python allows: one call at a time on a connection."""

import asyncio
from collections.abc import Sequence
from typing import cast

from httptools import HttpParserError, HttpResponseParser


class Connection(asyncio.Protocol):
    """One keep-alive connection; a caller waits for the response before calling again."""

    def __init__(self) -> None:
        self._parser = HttpResponseParser(self)
        self._transport: asyncio.Transport
        self._answer: asyncio.Future[tuple[int, bytes]] | None = None
        self._body: list[bytes] = []

    @classmethod
    async def open(cls, host: str, port: int) -> "Connection":
        """Raises OSError if nothing listens."""
        _, connection = await asyncio.get_running_loop().create_connection(cls, host, port)
        return connection

    async def call(self, method: bytes, path: bytes, headers: bytes, body: bytes = b"") -> tuple[int, bytes]:
        """The response's status and body; raises ConnectionError if the connection breaks.

        `headers` are the lines of the head except content-length, each with its CRLF: see `head`.
        """
        if self._transport.is_closing():
            raise ConnectionError("the connection is closed")
        if self._answer is not None:
            raise RuntimeError("a call is under way on this connection")
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(
            b"%b %b HTTP/1.1\r\n%bcontent-length: %d\r\n\r\n%b" % (method, path, headers, len(body), body)
        )
        try:
            return await self._answer
        except asyncio.CancelledError:
            # The next response on it would belong to this call.
            self._transport.abort()
            raise
        finally:
            self._answer = None

    async def close(self) -> None:
        self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's transport is not a subclass

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except HttpParserError as error:
            self._fail(ConnectionError(f"no HTTP: {error}"))

    def connection_lost(self, exc: Exception | None) -> None:
        self._fail(ConnectionError(f"the connection was lost: {exc}" if exc else "the server closed the connection"))

    def on_body(self, body: bytes) -> None:
        self._body.append(body)

    def on_message_complete(self) -> None:
        body, self._body = b"".join(self._body), []
        if self._answer is not None and not self._answer.done():
            self._answer.set_result((self._parser.get_status_code(), body))
        if not self._parser.should_keep_alive():
            self._transport.close()

    def _fail(self, error: ConnectionError) -> None:
        self._transport.abort()
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(error)


def head(host: str, port: int, **headers: str) -> bytes:
    """The lines of a request's head after the first; an underscore in a name becomes a hyphen."""
    lines = {"host": f"{host}:{port}", **{name.replace("_", "-"): value for name, value in headers.items()}}
    return b"".join(b"%b: %b\r\n" % (name.encode(), value.encode()) for name, value in lines.items())


async def open_many(host: str, port: int, count: int) -> Sequence[Connection]:
    """One connection per caller."""
    return await asyncio.gather(*(Connection.open(host, port) for _ in range(count)))

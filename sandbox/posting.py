"""A client that posts, and reads only the status of a response: a few dozen microseconds each."""

import asyncio
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

_MAX_HEAD_BYTES = 32 * 1024
_MAX_BODY_BYTES = 64 * 1024
"""A connection with a longer response, or one of unknown length, is not reused."""


class Unreachable(Exception):
    """There was no response, or not an HTTP one; the text names the error, and nothing of what was sent."""


@dataclass(frozen=True, slots=True)
class _Place:
    host: str
    port: int
    secure: bool


@dataclass(frozen=True, slots=True)
class _Connection:
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter


class HttpPoster:
    """Posts over keep-alive connections, as many as there are concurrent posts; it follows no redirect."""

    def __init__(self, timeout: float) -> None:
        """`timeout` in seconds, for a post and its response."""
        self._timeout = timeout
        self._idle: dict[_Place, list[_Connection]] = {}
        self._tls: ssl.SSLContext | None = None

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> int:
        """The status of the response; raises Unreachable."""
        parts = urlsplit(url)
        secure = parts.scheme == "https"
        place = _Place(parts.hostname or "", parts.port or (443 if secure else 80), secure)
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        named = {"host": parts.netloc.rpartition("@")[2], **headers, "content-length": str(len(body))}
        lines = [f"POST {target} HTTP/1.1", *(f"{name}: {value}" for name, value in named.items()), "", ""]
        try:
            async with asyncio.timeout(self._timeout):
                return await self._exchange(place, "\r\n".join(lines).encode("latin-1") + body)
        except (OSError, EOFError, TimeoutError, ValueError, asyncio.LimitOverrunError) as error:
            raise Unreachable(type(error).__name__) from None

    def close(self) -> None:
        for connections in self._idle.values():
            for connection in connections:
                connection.writer.close()

    async def _exchange(self, place: _Place, message: bytes) -> int:
        idle = self._idle.setdefault(place, [])
        while idle:
            connection = idle.pop()
            try:
                return await self._over(connection, place, message)
            except (OSError, EOFError):
                continue  # it was closed while idle
        return await self._over(await self._connected(place), place, message)

    async def _over(self, connection: _Connection, place: _Place, message: bytes) -> int:
        kept = False
        try:
            connection.writer.write(message)
            status, length = await _head(connection.reader)
            if length is not None:
                await connection.reader.readexactly(length)
                self._idle[place].append(connection)
                kept = True
            return status
        finally:
            if not kept:
                connection.writer.close()

    async def _connected(self, place: _Place) -> _Connection:
        if place.secure and self._tls is None:
            self._tls = ssl.create_default_context()
        tls = self._tls if place.secure else None
        return _Connection(*await asyncio.open_connection(place.host, place.port, ssl=tls, limit=_MAX_HEAD_BYTES))


async def _head(reader: asyncio.StreamReader) -> tuple[int, int | None]:
    """The final status, and the length of its body; None if the connection cannot be reused."""
    while True:
        first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        version, _, rest = first.partition(" ")
        status = int(rest[:3])
        if not version.startswith("HTTP/1.") or status < 100:
            raise ValueError("not HTTP")
        if status >= 200:
            break
    headers = {
        name.strip().lower(): value.strip().lower() for name, _, value in (line.partition(":") for line in lines)
    }
    if headers.get("connection") == "close" or version == "HTTP/1.0" or "transfer-encoding" in headers:
        return status, None
    length = 0 if status == 204 else int(headers.get("content-length", -1))
    return status, length if 0 <= length <= _MAX_BODY_BYTES else None

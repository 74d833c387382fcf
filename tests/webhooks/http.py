"""Requests as bytes, including those that no client library would send."""

import asyncio
from dataclasses import dataclass, field

from tests.webhooks.senders import Headers


@dataclass(frozen=True)
class Post:
    """A request as it is sent over the wire."""

    source: str
    headers: Headers
    body: bytes = b"{}"
    method: str = "POST"
    chunk: int = 0
    """The body is sent in chunks of this many bytes; 0 means that its length is sent instead."""
    unsent: bool = False
    """Whether the body, or its last chunk, is never sent."""

    def raw(self) -> bytes:
        told = ("transfer-encoding", "chunked") if self.chunk else ("content-length", str(len(self.body)))
        lines = [f"{self.method} /webhooks/{self.source} HTTP/1.1", "host: localhost"]
        lines += [f"{name}: {value}" for name, value in [told, *self.headers]]
        head = "\r\n".join([*lines, "", ""]).encode("latin-1")
        if not self.chunk:
            return head if self.unsent else head + self.body
        pieces = [self.body[start : start + self.chunk] for start in range(0, len(self.body), self.chunk)]
        chunks = b"".join(f"{len(piece):x}\r\n".encode() + piece + b"\r\n" for piece in pieces)
        return head + chunks if self.unsent else head + chunks + b"0\r\n\r\n"


@dataclass(frozen=True)
class Answered:
    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""


async def sent(port: int, post: Post) -> Answered:
    """Sends a request on a new connection, and reads the one response."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        async with asyncio.timeout(30):
            writer.write(post.raw())
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            headers = dict(line.lower().split(": ", 1) for line in head[1:] if line)
            body = await reader.readexactly(int(headers.get("content-length", "0")) if post.method != "HEAD" else 0)
    finally:
        writer.close()
    return Answered(int(head[0].split()[1]), headers, body)

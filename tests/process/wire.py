"""HTTP/2 by hand, for what no client library does."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

GREETING = (
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes.fromhex("000000040000000000") + bytes.fromhex("000000040100000000")
)
"""The preface, empty settings, and the acknowledgment of the server's."""
PING = bytes.fromhex("000008060000000000") + bytes(8)

SETTINGS, GOAWAY = 4, 7
MAX_CONCURRENT_STREAMS = 3


async def frame(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    """The next frame's type and content; raises IncompleteReadError at the connection's end."""
    head = await reader.readexactly(9)
    return head[3], await reader.readexactly(int.from_bytes(head[:3], "big"))


async def frames(reader: asyncio.StreamReader) -> list[tuple[int, bytes]]:
    """All frames to the connection's end."""
    found = []
    try:
        while True:
            found.append(await frame(reader))
    except (asyncio.IncompleteReadError, ConnectionResetError):
        return found


@asynccontextmanager
async def closed(writer: asyncio.StreamWriter) -> AsyncIterator[None]:
    """Closes a connection at the end of the block, whatever the outcome."""
    try:
        yield
    finally:
        writer.transport.abort()

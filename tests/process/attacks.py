"""What attackers send to the HTTP side to keep it busy: each attack takes its port, and ends on its own."""

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from contextlib import suppress
from typing import Any

SOURCE = "hub"
"""The webhook source of the unsigned webhooks."""

_ENDS_WITHIN_SECONDS = 20.0
_UNREAD_SECONDS = 2.0


async def send(port: int, wire: bytes, *, piece: int = 0, reads: bool = True) -> bytes:
    """Sends bytes on a new connection, in pieces of this size if given, and returns the response."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        async with asyncio.timeout(_ENDS_WITHIN_SECONDS):
            with suppress(ConnectionError):
                for start in range(0, len(wire), piece or len(wire)):
                    writer.write(wire[start : start + (piece or len(wire))])
                    await writer.drain()
                    if piece:
                        await asyncio.sleep(0)
            if not reads:
                await asyncio.sleep(_UNREAD_SECONDS)
            return await reader.read()
    except (TimeoutError, ConnectionError):
        return b""
    finally:
        writer.transport.abort()


def head(*lines: str, target: str = f"/webhooks/{SOURCE}", method: str = "POST") -> bytes:
    return "\r\n".join([f"{method} {target} HTTP/1.1", "host: x", *lines, "", ""]).encode()


CHUNKED = "transfer-encoding: chunked"


async def tiny_chunks(port: int) -> bytes:
    """A body of 262,000 chunks of one byte: 1.6 MB."""
    return await send(port, head(CHUNKED) + b"1\r\nx\r\n" * 262_000 + b"0\r\n\r\n")


async def tiny_chunks_at_once(port: int) -> bytes:
    """Three of them."""
    return (await asyncio.gather(*(tiny_chunks(port) for _ in range(3))))[0]


async def tiny_chunks_that_nobody_reads(port: int) -> bytes:
    """The same to a page that reads no body."""
    wire = head(CHUNKED, target="/healthz", method="GET")
    return await send(port, wire + b"1\r\nx\r\n" * 160_000 + b"0\r\n\r\n")


async def tiny_headers(port: int) -> bytes:
    """Twenty heads of 12,000 lines, each sent at once."""
    wire = head()[:-2] + b"a:\r\n" * 12_000 + b"\r\n"
    return (await asyncio.gather(*(send(port, wire) for _ in range(20))))[0]


async def folded_headers(port: int) -> bytes:
    """Folded headers over 12,000 lines."""
    wire = head()[:-2] + b"a: b\r\n" + b" c\r\n" * 12_000 + b"\r\n"
    return (await asyncio.gather(*(send(port, wire) for _ in range(20))))[0]


async def tiny_trailers(port: int) -> bytes:
    """Empty bodies, each followed by 12,000 trailer lines."""
    wire = head(CHUNKED) + b"0\r\n" + b"a:\r\n" * 12_000 + b"\r\n"
    return (await asyncio.gather(*(send(port, wire) for _ in range(20))))[0]


async def long_extensions(port: int) -> bytes:
    """Chunks of one byte whose extensions are 16 KB each."""
    return await send(port, head(CHUNKED) + (b"1;" + b"e" * 16_000 + b"\r\nx\r\n") * 60 + b"0\r\n\r\n")


async def byte_by_byte(port: int) -> bytes:
    """A head of 20,000 bytes, sent one byte at a time."""
    return await send(port, head()[:-2] + b"a: " + b"x" * 20_000, piece=1)


async def pipelined(port: int) -> bytes:
    """30,000 requests without waiting for a response: 1 MB."""
    return await send(port, head(target="/healthz", method="GET") * 30_000)


async def pipelined_unread(port: int) -> bytes:
    """The same, without reading the responses."""
    return await send(port, head(target="/", method="GET") * 30_000, reads=False)


async def pipelined_unread_by_many(port: int) -> bytes:
    """200 requests on each of 100 connections, without reading the responses: each connection is answered in turn."""
    wire = head(target="/", method="GET") * 200 + head("connection: close", target="/", method="GET")
    return (await asyncio.gather(*(send(port, wire, reads=False) for _ in range(100))))[0]


async def chunked_in_a_row(port: int) -> bytes:
    """10 requests on each of 20 connections, each with a hundred tiny chunks."""
    wire = (head(CHUNKED) + b"1\r\nx\r\n" * 100 + b"0\r\n\r\n") * 9
    wire += head(CHUNKED, "connection: close") + b"0\r\n\r\n"
    return (await asyncio.gather(*(send(port, wire) for _ in range(20))))[0]


async def many_bodies(port: int) -> bytes:
    """250 bodies whose last byte is never sent."""
    wire = head("content-length: 262144") + b"x" * 4_000
    answers = await asyncio.gather(*(send(port, wire) for _ in range(250)))
    return answers[0]


async def scrapes(port: int) -> bytes:
    """Eight clients that scrape the metrics repeatedly for 1.5 seconds."""
    ends = asyncio.get_running_loop().time() + 1.5

    async def ask() -> bytes:
        answer = b""
        while asyncio.get_running_loop().time() < ends:
            answer = await send(port, head("connection: close", target="/metrics", method="GET"))
        return answer

    return (await asyncio.gather(*(ask() for _ in range(8))))[0]


ATTACKS: Mapping[str, Callable[[int], Coroutine[Any, Any, bytes]]] = {
    each.__name__: each
    for each in (
        tiny_chunks,
        tiny_chunks_at_once,
        tiny_chunks_that_nobody_reads,
        tiny_headers,
        folded_headers,
        tiny_trailers,
        long_extensions,
        byte_by_byte,
        pipelined,
        pipelined_unread,
        pipelined_unread_by_many,
        chunked_in_a_row,
        many_bodies,
        scrapes,
    )
}

"""The proxy drops, partitions and closes connections, and signals only the closing."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from tests.failover.proxy import Proxy, passing_on
from tests.webhooks.outgoing import listening

SILENT_SECONDS = 0.3

Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@pytest.fixture
async def proxy() -> AsyncIterator[Proxy]:
    """In front of an echo server."""

    async def say_again(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while line := await reader.readline():
                writer.write(line)
        except (ConnectionError, asyncio.CancelledError):
            pass
        finally:
            writer.transport.abort()

    async with listening(say_again) as port, passing_on(port) as passing:
        yield passing


@asynccontextmanager
async def connected(proxy: Proxy) -> AsyncIterator[Connection]:
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
    try:
        yield reader, writer
    finally:
        writer.transport.abort()


async def answer(connection: Connection) -> bytes | None:
    """The response; None if there is none."""
    connection[1].write(b"hello\n")
    try:
        return await asyncio.wait_for(connection[0].readline(), SILENT_SECONDS)
    except TimeoutError:
        return None


async def test_a_vanished_connection_is_silent_and_stays_open(proxy: Proxy) -> None:
    """New ones work."""
    async with connected(proxy) as vanished, connected(proxy) as fresh:
        assert await answer(vanished) == b"hello\n"
        proxy.vanish()
        assert await answer(vanished) is None
        assert not vanished[0].at_eof()
        assert await answer(fresh) is None
        async with connected(proxy) as new:
            assert await answer(new) == b"hello\n"


async def test_nothing_gets_through_until_it_is_joined_again(proxy: Proxy) -> None:
    """Not even on new connections."""
    proxy.part()
    async with connected(proxy) as parted:
        assert await answer(parted) is None
    proxy.join()
    async with connected(proxy) as joined:
        assert await answer(joined) == b"hello\n"


async def test_a_closed_connection_ends(proxy: Proxy) -> None:
    """At both ends."""
    async with connected(proxy) as cut:
        assert await answer(cut) == b"hello\n"
        proxy.cut()
        assert await cut[0].readline() == b""

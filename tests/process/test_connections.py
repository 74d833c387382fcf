"""The limits of a gRPC connection, and its lifetime."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from time import monotonic
from typing import Any

import grpc
import pytest

from backroom.commerce.v1 import inventory_service_pb2
from server.process.connections import ConnectionLimits
from server.process.edge import Edge
from storage.database import Database
from tests.commerce.watched import begun
from tests.contract.probes import checked
from tests.fixtures.servers import Running, running
from tests.process.wire import GOAWAY, GREETING, MAX_CONCURRENT_STREAMS, PING, SETTINGS, frame, frames


@asynccontextmanager
async def limited(database: Database, **limits: Any) -> AsyncIterator[Running]:
    async with running(database, edge=Edge(connections=ConnectionLimits(**limits))) as opened:
        yield opened


async def ended(opened: Running, greeting: bytes) -> float:
    """After how many seconds the server closes a connection that sends only this."""
    began = monotonic()
    reader, writer = await asyncio.open_connection("127.0.0.1", opened.server.grpc_port)
    writer.write(greeting)
    async with asyncio.timeout(60):
        await frames(reader)
    writer.close()
    return monotonic() - began


async def test_the_number_of_streams_is_announced(database: Database) -> None:
    """In the first frame, so that clients hold the others back."""
    async with limited(database, streams=7) as opened:
        reader, writer = await asyncio.open_connection("127.0.0.1", opened.server.grpc_port)
        writer.write(GREETING)
        kind, content = await frame(reader)
        writer.close()
    assert kind == SETTINGS
    pairs = {int.from_bytes(content[at : at + 2], "big"): content[at + 2 : at + 6] for at in range(0, len(content), 6)}
    assert int.from_bytes(pairs[MAX_CONCURRENT_STREAMS], "big") == 7


async def test_an_idle_connection_is_closed(database: Database) -> None:
    """And so is one that does not start to speak HTTP/2."""
    async with limited(database, idle=0.5, handshake=0.5) as opened:
        assert await ended(opened, GREETING) > 0.4
        assert await ended(opened, b"") > 0.4
        assert await checked(opened.channel, "liveness") == "SERVING"


async def test_a_dead_caller_is_detected(database: Database) -> None:
    """It does not answer a ping; one that does keeps its connection, and its watch."""
    async with limited(database, keepalive=1.0, keepalive_timeout=3.0) as opened:
        api = await opened.sign_in("service")
        watch = api.inventory.WatchStock(inventory_service_pb2.WatchStockRequest(), timeout=None)
        await begun(watch)
        assert await ended(opened, GREETING) > 3.5
        assert not watch.done()
        watch.cancel()


async def test_a_connection_is_closed_at_its_maximum_age(database: Database) -> None:
    """Its watch may continue for the grace period; calls continue on a new connection."""
    async with limited(database, age=1.0, age_grace=1.0) as opened:
        api = await opened.sign_in("service")
        watch = api.inventory.WatchStock(inventory_service_pb2.WatchStockRequest(), timeout=None)
        await begun(watch)
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            async with asyncio.timeout(60):
                await watch.read()
        assert raised.value.code() is grpc.StatusCode.UNAVAILABLE
        for _ in range(20):
            assert await checked(opened.channel, "liveness") == "SERVING"
            await asyncio.sleep(0.05)


async def test_a_flood_of_pings_closes_the_connection(database: Database) -> None:
    """With the reason."""
    async with limited(database) as opened:
        reader, writer = await asyncio.open_connection("127.0.0.1", opened.server.grpc_port)
        writer.write(GREETING)
        await frame(reader)
        writer.write(PING * 10)
        async with asyncio.timeout(60):
            found = await frames(reader)
        writer.close()
    assert any(kind == GOAWAY and b"too_many_pings" in content for kind, content in found)


async def test_metadata_above_the_limit_is_refused(database: Database) -> None:
    """Before any of our code sees it; metadata below the limit is accepted."""
    async with limited(database) as opened:
        call: Any = opened.channel.unary_unary("/grpc.health.v1.Health/Check")
        await call(b"", metadata=(("x-filling", "x" * 10_000),), timeout=30)
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await call(b"", metadata=(("x-filling", "x" * 40_000),), timeout=30)
        assert raised.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert not [line for line in opened.log if "x" * 100 in repr(line)]

"""Readiness covers changes and jobs, and not only whether the database responds."""

import asyncio
import time
from contextlib import AsyncExitStack
from typing import Any
from uuid import uuid4

import grpc
import httpx
import psycopg
import pytest

from server.frame.health import READ_ONLY, UNCONFIRMED
from storage.database import Database
from storage.errors import StoreUnavailable
from storage.store import FRAME
from storage.time_limits import ANSWER_SECONDS
from storage.url import parameters
from tests.commerce.goods import ask, stocked
from tests.contract.probes import becomes, checked
from tests.faults.cluster import Cluster
from tests.fixtures.servers import Api, Running, refusal, running

SOON = 60.0
"""In seconds: how soon it must follow, on a busy machine; on an idle one it takes less than 5."""


async def why_not(server: Running) -> str | None:
    async with httpx.AsyncClient() as client:
        answer = await client.get(f"{server.http}/readyz")
    why: str | None = answer.json().get("why")
    return why


async def place(api: Api) -> None:
    await api.orders.PlaceOrder(ask(("TEA", 1)))


async def test_a_server_whose_database_takes_no_changes_is_not_ready(
    server: Running, cluster: Cluster, database_url: str
) -> None:
    """As one that was left connected to a standby; reads may continue."""
    name = parameters(database_url)["dbname"]
    with psycopg.connect(cluster.url, autocommit=True) as connection:
        connection.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
        cluster.terminate_connections(name)
        await becomes(server.channel, "readiness", "NOT_SERVING", within=SOON)
        async with asyncio.timeout(SOON):
            while await why_not(server) != READ_ONLY:  # noqa: ASYNC110 - it is another's state
                await asyncio.sleep(0.05)
        assert await checked(server.channel, "liveness") == "SERVING"
        connection.execute(f"ALTER DATABASE {name} RESET default_transaction_read_only")
        cluster.terminate_connections(name)
    await becomes(server.channel, "readiness", "SERVING", within=SOON)


async def test_a_server_whose_worker_does_not_reach_its_queue_is_not_ready(database: Database) -> None:
    """Calls are answered, but their jobs do not run."""
    async with running(database, jobs_on="postgresql:///none?host=/nowhere") as server:
        await becomes(server.channel, "readiness", "SERVING", within=SOON)
        await becomes(server.channel, "readiness", "NOT_SERVING", within=SOON)
        assert await why_not(server) == "the worker does not reach its queue"
        assert await checked(server.channel, "liveness") == "SERVING"


async def test_a_batch_that_waits_for_a_lock_is_given_up_and_blocks_no_later_call(
    server: Running, service: Api, database_url: str
) -> None:
    """Repeating the request once the lock is free places its one order."""
    await stocked(service, "TEA", 10)
    first = ask(("TEA", 1))
    with psycopg.connect(database_url) as connection:
        connection.execute("LOCK TABLE commerce.stock IN ACCESS EXCLUSIVE MODE")
        began = time.monotonic()
        placing = asyncio.create_task(refusal(service.orders.PlaceOrder(first)))
        await becomes(server.channel, "readiness", "NOT_SERVING", within=SOON)
        assert await why_not(server) == UNCONFIRMED
        found = await placing
        assert (found.code, found.reason) == (grpc.StatusCode.UNAVAILABLE, "DATABASE_UNAVAILABLE")
        assert time.monotonic() - began > ANSWER_SECONDS * 0.9
    orders = {(await service.orders.PlaceOrder(first)).order.order_id for _ in range(2)}
    assert len(orders) == 1
    await becomes(server.channel, "readiness", "SERVING", within=SOON)


async def test_reads_on_a_hanging_database_are_given_up_without_a_deadline(
    service: Api, database: Database, cluster: Cluster
) -> None:
    """So is everything else that waits for it, and the connections are replaced."""

    async def look() -> Any:
        async with database.store(FRAME).reading() as tx:
            return await tx.requests.find((uuid4(), uuid4()))

    await look()
    async with cluster.frozen():
        async with asyncio.timeout(SOON):
            with pytest.raises(StoreUnavailable, match="timed out: it hangs"):
                await look()
    async with asyncio.timeout(SOON):
        await look()
    await stocked(service, "TEA", 1)


async def test_a_server_stops_while_its_database_hangs(database: Database, database_url: str, cluster: Cluster) -> None:
    """Within the time that calls and jobs have to end; nothing waits for a response that never arrives."""
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(running(database, jobs_on=database_url))
        await becomes(server.channel, "readiness", "SERVING", within=SOON)
        service = await server.sign_in("service")
        await stocked(service, "TEA", 10)
        async with cluster.frozen():
            placing = asyncio.create_task(place(service))
            await asyncio.sleep(0.5)
            async with asyncio.timeout(2 * SOON):
                await stack.aclose()
            await asyncio.gather(placing, return_exceptions=True)
    assert server.log[-1]["event"] == "stopped"

"""The database stands still: its connections are there, and nothing comes back over them."""

import asyncio
import time

import grpc
import httpx
from backroom.commerce.v1 import catalog_service_pb2

from tests.commerce.goods import ask, stock_of, stocked
from tests.contract.probes import becomes, checked
from tests.faults.cluster import Cluster
from tests.fixtures.servers import Api, Running

SOON = 5.0
"""In seconds: how soon readiness must follow the database."""


async def test_readiness_follows_a_frozen_database(server: Running, cluster: Cluster) -> None:
    """It falls though no connection breaks, stands while the database stands, and rises by itself."""
    async with cluster.frozen():
        await becomes(server.channel, "readiness", "NOT_SERVING", within=SOON)
        assert await checked(server.channel, "liveness") == "SERVING"
    await becomes(server.channel, "readiness", "SERVING", within=SOON)


async def test_calls_end_by_their_deadline_while_the_database_is_frozen(
    server: Running, service: Api, cluster: Cluster
) -> None:
    """On the server too, which is to hold nothing for callers that are gone."""
    await stocked(service, "TEA", 10)
    server.log.clear()
    request = catalog_service_pb2.ListProductsRequest()
    async with cluster.frozen():
        calls = [service.catalog.ListProducts(request, timeout=1) for _ in range(10)]
        began = time.perf_counter()
        ends = await asyncio.gather(*calls, return_exceptions=True)
        assert {end.code() for end in ends} == {grpc.StatusCode.DEADLINE_EXCEEDED}
        async with asyncio.timeout(SOON):
            await server.application.in_flight.idle()
        print(time.perf_counter() - began)
    assert len((await service.catalog.ListProducts(request)).products) == 1
    await service.orders.PlaceOrder(ask(("TEA", 1)))
    assert await stock_of(service, "TEA") == (10, 1, 9)

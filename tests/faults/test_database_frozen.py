"""The database is frozen: connections stay open, and nothing responds on them."""

import asyncio
from typing import Any

import grpc
import pytest

from backroom.commerce.v1 import catalog_service_pb2
from server.frame.interceptors.deadline import Deadline
from tests.commerce.goods import ask, stocked
from tests.contract.probes import becomes, checked
from tests.faults.cluster import Cluster
from tests.fixtures.servers import Api, Running, refusal

SOON = 60.0
"""In seconds: how soon readiness must follow the database, and a call its deadline, whatever else the machine does."""

LIST = catalog_service_pb2.ListProductsRequest()


async def code_of(call: Any) -> grpc.StatusCode:
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await call
    return raised.value.code()


async def test_readiness_follows_a_frozen_database(server: Running, cluster: Cluster) -> None:
    """It turns red although no connection breaks, and green again automatically."""
    async with cluster.frozen():
        await becomes(server.channel, "readiness", "NOT_SERVING", within=SOON)
        assert await checked(server.channel, "liveness") == "SERVING"
    await becomes(server.channel, "readiness", "SERVING", within=SOON)


async def test_calls_end_by_their_callers_deadline_while_the_database_is_frozen(
    server: Running, service: Api, cluster: Cluster
) -> None:
    """On the server too, which keeps nothing for callers that left; a repeated change returns its outcome."""
    await stocked(service, "TEA", 10)
    asks = [ask(("TEA", 1)) for _ in range(10)]
    async with cluster.frozen():
        reads = [service.catalog.ListProducts(LIST, timeout=0.5) for _ in range(10)]
        writes = [service.orders.PlaceOrder(each, timeout=0.5) for each in asks]
        assert set(await asyncio.gather(*map(code_of, (*reads, *writes)))) == {grpc.StatusCode.DEADLINE_EXCEEDED}
        async with asyncio.timeout(SOON):
            await server.application.in_flight.idle()
    assert len((await service.catalog.ListProducts(LIST)).products) == 1
    # An order whose caller gave up may have been placed or not, but at most once: ten pieces suffice for all.
    find_answer = await asyncio.gather(*map(service.orders.PlaceOrder, asks))
    assert len({answer.order.order_id for answer in find_answer}) == len(asks)
    assert (await refusal(service.orders.PlaceOrder(ask(("TEA", 1))))).reason == "OUT_OF_STOCK"


async def test_calls_end_by_the_servers_deadline_while_the_database_is_frozen(
    server: Running, service: Api, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A caller without a deadline gets a refusal with a reason."""
    await stocked(service, "TEA", 10)
    (deadline,) = (each for each in server.application.chain.interceptors if isinstance(each, Deadline))
    async with cluster.frozen():
        monkeypatch.setattr(deadline, "_seconds", 0.5)
        async with asyncio.timeout(SOON):
            found = await asyncio.gather(
                refusal(service.catalog.ListProducts(LIST)), refusal(service.orders.PlaceOrder(ask(("TEA", 1))))
            )
        assert {each.reason for each in found} == {"DEADLINE_EXCEEDED"}
    monkeypatch.undo()
    assert len((await service.catalog.ListProducts(LIST)).products) == 1

"""A watch continues after an outage of the database or the server, and nothing is missing or sent twice."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import grpc

from backroom.commerce.v1.order_service_pb2 import WatchOrdersRequest
from backroom_client import AsyncWatch
from backroom_client.channel import open_aio_channel
from tests.commerce.goods import cancelled, placed, stocked
from tests.commerce.watched import begun
from tests.faults.cluster import Cluster
from tests.faults.load import until
from tests.fixtures.processes import serving
from tests.fixtures.servers import Api, refusal

Change = tuple[str, int]
"""An order's id and its state."""


@asynccontextmanager
async def watched(api: Api) -> AsyncIterator[list[Change]]:
    """The messages that a client receives from here on."""
    changes: list[Change] = []
    begun = asyncio.Event()

    async def follow() -> None:
        async for message in AsyncWatch(api.orders.WatchOrders, WatchOrdersRequest()):
            begun.set()
            if message.HasField("order"):
                changes.append((message.order.order_id, message.order.state))

    following = asyncio.create_task(follow())
    await asyncio.wait_for(begun.wait(), 300)
    yield changes
    assert following.cancel()
    await asyncio.wait([following])


async def commerce_config(api: Api) -> list[Change]:
    """An order that is placed and cancelled."""
    order = await placed(api, ("A", 1))
    ended = await cancelled(api, order)
    return [(order.order_id, order.state), (order.order_id, ended.state)]


async def test_a_watch_continues_when_the_database_is_back(service: Api, cluster: Cluster) -> None:
    """A caller with bare stubs gets UNAVAILABLE, with a time to retry."""
    await stocked(service, "A", 10)
    by_hand = service.orders.WatchOrders(WatchOrdersRequest())
    await begun(by_hand)
    async with watched(service) as changes:
        async with cluster.stopped():
            refused = await asyncio.wait_for(refusal(by_hand.read()), 300)
            assert (refused.code, refused.reason) == (grpc.StatusCode.UNAVAILABLE, "DATABASE_UNAVAILABLE")
            assert refused.retry_after is not None
        expected = [*await commerce_config(service), *await commerce_config(service)]
        await until(lambda: len(changes) >= len(expected), within=60)
    assert changes == expected


async def test_a_watch_continues_at_the_next_server(service: Api, database_url: str) -> None:
    """The first was killed; changes in between are sent by the second."""
    await stocked(service, "A", 10)
    async with (
        serving(database_url) as killed,
        open_aio_channel(killed.address, None) as channel,
        watched(Api(channel, service.token)) as changes,
    ):
        expected = await commerce_config(service)
        await until(lambda: len(changes) == len(expected))
        killed.process.kill()
        await killed.process.wait()
        expected += await commerce_config(service)
        async with serving(database_url, BACKROOM_GRPC_ADDRESS=killed.address):
            expected += await commerce_config(service)
            await until(lambda: len(changes) >= len(expected), within=60)
    assert changes == expected

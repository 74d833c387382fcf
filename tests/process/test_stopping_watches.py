"""Watches delay neither a stop nor other calls."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest

from backroom.commerce.v1 import inventory_service_pb2, order_service_pb2
from storage.commerce.store import COMMERCE
from storage.database import Database
from tests.commerce.goods import stock_of
from tests.commerce.values import kept, product, receipt
from tests.commerce.watched import begun, received
from tests.faults.load import until
from tests.fixtures.keys import MASTER_KEYS
from tests.fixtures.servers import Api, refusal
from tests.process.servers import Opened, opened

ENOUGH = 15.0
"""In seconds: less than the 30 that calls under way have, more than a stop without any takes."""
STOCK = inventory_service_pb2.WatchStockRequest()
ORDERS = order_service_pb2.WatchOrdersRequest()
MOVEMENTS = 200


@pytest.fixture
async def narrow(database_url: str) -> AsyncIterator[Database]:
    """A pool of two connections."""
    database = Database(database_url, audit_key=MASTER_KEYS.audit_key, pool_size=2)
    yield database
    await database.close()


async def unread(running: Opened, api: Api, count: int) -> list[Any]:
    """This many watches of which one change is read, with far more changes than fit into the buffers."""
    goods = product("TEA")
    await kept(running.application.database, goods)
    calls = [api.inventory.WatchStock(STOCK, timeout=None) for _ in range(count)]
    for call in calls:
        await begun(call)
    long = "n" * 20_000
    async with running.application.database.store(COMMERCE).transaction() as tx:
        await tx.stock.move([receipt(goods, 1, note=long) for _ in range(MOVEMENTS)])
    for call in calls:
        await received(call, 1)
    feeds = [feed for part in running.application._modules for feed in part.feeds]
    await until(lambda: all(stands_still(watch) for feed in feeds for watch in feed._watches), within=30)
    return calls


def stands_still(watch: Any) -> bool:
    """Whether no changes are sent for a while although there are some."""
    return bool(watch._clock() - watch._last > 0.3)


async def test_a_stop_ends_the_watches_with_a_reason(database: Database) -> None:
    """Both kinds at once, with the reason that sends a client to another server."""
    async with opened(database) as running:
        api = await running.sign_in("service")
        calls = [api.inventory.WatchStock(STOCK), api.orders.WatchOrders(ORDERS)]
        for call in calls:
            await begun(call)
        stop = asyncio.ensure_future(running.server.stop())
        for call in calls:
            found = await asyncio.wait_for(refusal(call.read()), ENOUGH)
            assert (found.code, found.reason) == (grpc.StatusCode.UNAVAILABLE, "STOPPING")
            assert found.retry_after is not None
        await asyncio.wait_for(stop, ENOUGH)


async def test_a_watch_that_does_not_read_does_not_delay_a_stop(database: Database) -> None:
    """Its messages wait for a reader that never reads, and it is cut off in the middle."""
    async with opened(database) as running:
        calls = await unread(running, await running.sign_in("service"), 2)
        await asyncio.wait_for(running.server.stop(), ENOUGH)
        for call in calls:
            with pytest.raises(grpc.aio.AioRpcError) as raised:
                await received(call, MOVEMENTS - 1)
            assert raised.value.code() is grpc.StatusCode.UNAVAILABLE


async def test_watches_that_do_not_read_leave_the_database_to_others(narrow: Database) -> None:
    """Ten of them with a pool of two."""
    async with opened(narrow) as running:
        api = await running.sign_in("service")
        calls = await unread(running, api, 10)
        for _ in range(5):
            assert await asyncio.gather(*(stock_of(api, "TEA") for _ in range(4))) == [(1, 0, 1)] * 4
        for call in calls:
            call.cancel()
        await asyncio.wait_for(running.server.stop(), ENOUGH)

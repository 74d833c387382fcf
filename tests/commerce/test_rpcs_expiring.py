"""Reservations expire."""

from datetime import timedelta

import pytest
from sqlalchemy import text

from backroom.commerce.v1 import order_service_pb2, orders_pb2
from storage.database import Database
from storage.store import FRAME
from tests.commerce.goods import ask, cancelled, found, placed, stock_of, stocked
from tests.fixtures.servers import Api, refusal, running
from tests.fixtures.trading import eventually
from tests.invariants import assert_whole

WITHIN = timedelta(seconds=50)
"""Ten times what it takes a server on a machine of its own."""


async def expired(api: Api, count: int) -> bool:
    request = order_service_pb2.ListOrdersRequest(state=orders_pb2.ORDER_STATE_EXPIRED, page_size=1000)
    return len((await api.orders.ListOrders(request)).orders) == count


async def test_an_unpaid_order_releases_its_stock_when_it_expires(database: Database, database_url: str) -> None:
    """Not before its time; an order with a longer reservation keeps its stock."""
    async with running(database, jobs_on=database_url) as server:
        service = await server.sign_in("service")
        await stocked(service, "TEA", 10)
        short = await placed(service, ("TEA", 2), ("TEA", 1), hold_duration={"seconds": 1})
        long = await placed(service, ("TEA", 4))
        assert await stock_of(service, "TEA") == (10, 7, 3)
        after = await eventually(
            lambda: found(service, short.order_id), lambda seen: seen.state == orders_pb2.ORDER_STATE_EXPIRED
        )
        assert after.update_time.ToDatetime() >= short.hold_end_time.ToDatetime()
        assert await stock_of(service, "TEA") == (10, 4, 6)
        assert await found(service, long.order_id) == long
        assert (await refusal(cancelled(service, after))).metadata["state"] == "EXPIRED"
    await assert_whole(database)


async def test_the_default_reservation_is_a_setting(database: Database) -> None:
    """For an order whose caller does not specify one."""
    async with running(database, hold_seconds=40 * 60.0) as server:
        service = await server.sign_in("service")
        await stocked(service, "TEA", 10)
        order = await placed(service, ("TEA", 1))
        assert order.hold_end_time.ToDatetime() - order.create_time.ToDatetime() == timedelta(minutes=40)


@pytest.mark.parametrize("seconds", [0, -1, 30 * 86_400 + 1])
async def test_a_reservation_is_bounded(service: Api, seconds: int) -> None:
    """From a second to 30 days."""
    await stocked(service, "TEA", 10)
    refused = await refusal(service.orders.PlaceOrder(ask(("TEA", 1), hold_duration={"seconds": seconds})))
    assert [*refused.fields] == ["hold_duration"]


@pytest.mark.proof
async def test_many_reservations_that_expire_together_are_released_soon(database: Database, database_url: str) -> None:
    """2,000 orders of one product; the last one is expired soon after its time."""
    async with running(database, jobs_on=database_url) as server:
        service = await server.sign_in("service")
        await stocked(service, "TEA", 2_000)
        for _ in range(2_000):
            await placed(service, ("TEA", 1), hold_duration={"seconds": 5})
        await eventually(lambda: expired(service, 1000), bool, within=120)
        await eventually(lambda: stock_of(service, "TEA"), lambda seen: seen == (2_000, 0, 2_000), within=120)
    async with database.store(FRAME).reading() as tx:
        late = "SELECT max(update_time - hold_end_time) FROM commerce.orders"
        assert (await tx._connection.execute(text(late))).scalar_one() < WITHIN
    await assert_whole(database)

"""Many callers order the same product at once."""

import asyncio
from collections import Counter
from uuid import uuid4

import grpc
import pytest

from backroom.commerce.v1 import order_service_pb2
from tests.commerce.goods import ask, stock_of, stocked
from tests.fixtures.processes import Pair
from tests.fixtures.servers import Api, refused


async def outcome(api: Api, request: order_service_pb2.PlaceOrderRequest) -> str:
    try:
        await api.orders.PlaceOrder(request)
    except grpc.aio.AioRpcError as error:
        return refused(error).reason
    return "placed"


async def test_one_server_sells_exactly_the_stock(service: Api) -> None:
    """200 callers for 100 pieces: 100 placed, 100 refused as out of stock, every one answered."""
    await stocked(service, "HOT", 100)
    outcomes = Counter(await asyncio.gather(*(outcome(service, ask(("HOT", 1))) for _ in range(200))))
    assert outcomes == {"placed": 100, "OUT_OF_STOCK": 100}
    assert await stock_of(service, "HOT") == (100, 100, 0)


async def test_two_servers_sell_exactly_the_stock(pair: Pair) -> None:
    """The same over two servers on one database."""
    apis = await pair.sign_in("service")
    await stocked(apis[0], "HOT", 100)
    calls = (outcome(apis[place % 2], ask(("HOT", 1))) for place in range(200))
    assert Counter(await asyncio.gather(*calls)) == {"placed": 100, "OUT_OF_STOCK": 100}
    assert await stock_of(apis[1], "HOT") == (100, 100, 0)


@pytest.mark.parametrize("available", [1, 100])
async def test_concurrent_copies_of_a_request_over_two_servers_place_one_order(pair: Pair, available: int) -> None:
    """16 copies of one request get 16 equal answers, even if the first takes the last piece."""
    apis = await pair.sign_in("service")
    await stocked(apis[0], "HOT", available)
    for _ in range(3):
        request = ask(("HOT", 1), reference=str(uuid4()))
        if available == 1:
            request.reference = "the last piece"
        answers = await asyncio.gather(*(apis[place % 2].orders.PlaceOrder(request) for place in range(16)))
        assert len({answer.SerializeToString(deterministic=True) for answer in answers}) == 1
        if available == 1:
            break
    listed = await apis[0].orders.ListOrders(order_service_pb2.ListOrdersRequest())
    assert len(listed.orders) == (1 if available == 1 else 3)

"""Many callers place and cancel at once, and send the same request at once: it is done once."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Iterable
from typing import Any
from uuid import uuid4

import grpc

from backroom.commerce.v1 import catalog_service_pb2, order_service_pb2, orders_pb2
from tests.commerce.books import count
from tests.commerce.goods import ask, cancelled, created, draft, found, placed, raw, receipt, stock_of, stocked
from tests.fixtures.processes import Pair
from tests.fixtures.servers import Api, Refused, Running, refused
from tests.invariants import broken


async def told(calls: Iterable[Awaitable[Any]]) -> tuple[list[Any], list[Refused]]:
    """The answers of concurrent calls, and the refusals."""
    outcomes = await asyncio.gather(*calls, return_exceptions=True)
    errors = [each for each in outcomes if isinstance(each, BaseException)]
    assert all(isinstance(each, grpc.aio.AioRpcError) for each in errors)
    answers = [each for each in outcomes if not isinstance(each, BaseException)]
    return answers, [refused(each) for each in errors if isinstance(each, grpc.aio.AioRpcError)]


async def test_concurrent_requests_of_16_callers_at_two_servers_are_done_once(pair: Pair) -> None:
    """One SKU is one product, one receipt is added once, one reference is one order, cancelled once."""
    apis = await pair.sign_in("service")
    await products_are_created_once(apis)
    assert await count(pair.database, "products") == await count(pair.database, "stock") == 2
    await goods_come_in_once(apis)
    await references_are_placed_once(apis)
    assert await count(pair.database, "orders") == 3
    await orders_are_cancelled_once(apis)
    assert await stock_of(apis[0], "A") == (100, 3, 97)
    assert await broken(pair.database) == {}


async def products_are_created_once(apis: list[Api]) -> None:
    """The others are refused because the SKU is taken; under one request_id all get one answer."""
    answers, refusals = await told(created(apis[n % 2], "A") for n in range(16))
    assert len(answers) == 1
    assert Counter((each.reason, each.metadata["sku"]) for each in refusals) == {("SKU_TAKEN", "A"): 15}
    request = catalog_service_pb2.CreateProductRequest(request_id=str(uuid4()), product=draft("B"))
    answers, refusals = await told(apis[n % 2].catalog.CreateProduct(request) for n in range(16))
    assert refusals == []
    assert len({raw(answer) for answer in answers}) == 1


async def goods_come_in_once(apis: list[Api]) -> None:
    """An adjustment under one request_id is made once, and all get one answer."""
    request = receipt("A", 100, request_id=str(uuid4()))
    answers, refusals = await told(apis[n % 2].inventory.AdjustStock(request) for n in range(16))
    assert refusals == []
    assert len({raw(answer) for answer in answers}) == 1
    assert await stock_of(apis[0], "A") == (100, 0, 100)


async def orders_are_cancelled_once(apis: list[Api]) -> None:
    """Without a request_id one succeeds and the others get the state; with one all get one answer."""
    first, second = await placed(apis[0], ("A", 2)), await placed(apis[0], ("A", 3))
    answers, refusals = await told(cancelled(apis[n % 2], first, reason=f"{n}") for n in range(16))
    assert Counter((each.reason, each.metadata["state"]) for each in refusals) == {
        ("ORDER_STATE_CONFLICT", "CANCELLED"): 15
    }
    assert answers == [await found(apis[0], first.order_id)]
    request_id = str(uuid4())
    answers, refusals = await told(cancelled(apis[n % 2], second, request_id=request_id) for n in range(16))
    assert refusals == []
    assert {raw(answer) for answer in answers} == {raw(await found(apis[1], second.order_id))}


async def references_are_placed_once(apis: list[Api]) -> None:
    """Under separate request_ids: one is placed, and the others learn which order has the reference."""
    for reference in ("R-1", "R-2", "R-3"):
        [placed_order], refusals = await told(placed(apis[n % 2], ("A", 1), reference=reference) for n in range(16))
        assert Counter((each.reason, each.metadata["order_id"]) for each in refusals) == {
            ("REFERENCE_TAKEN", placed_order.order_id): 15
        }


async def test_concurrent_streams_sell_exactly_the_stock(server: Running, service: Api) -> None:
    """8 streams of 50 orders each for 200 pieces: 200 are placed, and each stream is answered in order."""
    await stocked(service, "A", 200)

    async def stream() -> list[order_service_pb2.PlaceOrdersResponse]:
        asks = [ask(("A", 1)) for _ in range(50)]
        sent = iter([order_service_pb2.PlaceOrdersRequest(order=each) for each in asks])
        answers = [answer async for answer in service.orders.PlaceOrders(sent)]
        assert [each.request_id for each in answers] == [each.request_id for each in asks]
        return answers

    streams = await asyncio.gather(*(stream() for _ in range(8)))
    kinds = Counter(answer.WhichOneof("outcome") for answers in streams for answer in answers)
    assert kinds == {"order": 200, "refusal": 200}
    assert await stock_of(service, "A") == (200, 200, 0)
    assert await broken(server.database) == {}


async def test_a_caller_that_disconnects_can_repeat_everything(server: Running, service: Api) -> None:
    """A stream is cut after its first answers: sent again, each order exists once, even unanswered ones."""
    await stocked(service, "A", 1000)
    asks = [ask(("A", 1), reference=f"R-{n}") for n in range(300)]
    sent = [order_service_pb2.PlaceOrdersRequest(order=each) for each in asks]
    call = service.orders.PlaceOrders(iter(sent))
    heard = [await call.read() for _ in range(3)]
    assert call.cancel()
    answers = [answer async for answer in service.orders.PlaceOrders(iter(sent))]
    assert [answer.order.reference for answer in answers] == [f"R-{n}" for n in range(300)]
    assert [raw(answer) for answer in answers[:3]] == [raw(answer) for answer in heard]
    assert await count(server.database, "orders") == 300
    assert await broken(server.database) == {}


async def test_scarce_stock_is_never_sold_twice_while_orders_come_and_go(server: Running, service: Api) -> None:
    """20 callers alternately place and cancel, with stock for only 5: all of it is available in the end."""
    await stocked(service, "A", 5)

    async def caller() -> Counter[str]:
        seen: Counter[str] = Counter()
        for _ in range(10):
            orders, refusals = await told([placed(service, ("A", 1))])
            seen.update(each.reason for each in refusals)
            for order in orders:
                assert (await cancelled(service, order)).state == orders_pb2.ORDER_STATE_CANCELLED
                seen["placed"] += 1
        return seen

    seen = sum(await asyncio.gather(*(caller() for _ in range(20))), Counter[str]())
    assert {*seen} <= {"placed", "OUT_OF_STOCK"}
    assert seen.total() == 200
    assert seen["placed"] >= 5
    assert await stock_of(service, "A") == (5, 0, 5)
    assert await broken(server.database) == {}

"""Concurrent changes of the stock, the catalog and orders."""

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from typing import Any
from uuid import uuid4

import grpc

from backroom.commerce.v1 import catalog_service_pb2, inventory_service_pb2, orders_pb2, products_pb2, stock_pb2
from tests.commerce.books import count
from tests.commerce.goods import (
    ask,
    cancelled,
    created,
    draft,
    placed,
    pounds,
    receipt,
    stock_of,
    stocked,
)
from tests.fixtures.processes import Pair
from tests.fixtures.servers import Api, Running, refused
from tests.invariants import broken

SKUS = [f"S{n}" for n in range(6)]
TRIES = 10


async def outcome(call: Awaitable[Any]) -> str:
    """The outcome of a call: ok, or the reason of its refusal."""
    try:
        await call
    except grpc.aio.AioRpcError as error:
        return refused(error).reason
    return "ok"


async def outcomes(calls: Iterator[Awaitable[Any]]) -> Counter[str]:
    return Counter(await asyncio.gather(*map(outcome, calls)))


async def repeated(call: Callable[[Any], Awaitable[Any]], request: Any) -> Any:
    """The answer to a request with a request_id, which is sent again where none came in time: the machine is busy."""
    for _ in range(TRIES - 1):
        try:
            return await call(request)
        except grpc.aio.AioRpcError as error:
            if error.code() is not grpc.StatusCode.DEADLINE_EXCEEDED:
                raise
    return await call(request)


def written_off(sku: str, pieces: int) -> inventory_service_pb2.AdjustStockRequest:
    reason = stock_pb2.STOCK_REASON_WRITTEN_OFF
    return inventory_service_pb2.AdjustStockRequest(sku=sku, delta=-pieces, reason=reason)


async def one_of_many(apis: list[Api], chance: random.Random, mine: list[orders_pb2.Order]) -> None:
    """Orders of several products in any order of lines, cancellations of others' orders, and adjustments."""
    api = chance.choice(apis)
    kind = chance.random()
    if kind < 0.5:
        lines = [(sku, chance.randint(1, 4)) for sku in chance.choices(SKUS, k=chance.randint(2, 6))]
        mine.append(await placed(api, *lines))
    elif kind < 0.75 and mine:
        await cancelled(api, chance.choice(mine))
    elif kind < 0.9:
        await api.inventory.AdjustStock(receipt(chance.choice(SKUS), chance.randint(1, 9)))
    else:
        await api.inventory.AdjustStock(written_off(chance.choice(SKUS), chance.randint(1, 9)))


async def test_concurrent_orders_cancellations_and_adjustments_over_two_servers_add_up(pair: Pair) -> None:
    """No deadlock reaches a caller, every call is answered, and every piece is accounted for."""
    apis = await pair.sign_in("service")
    for sku in SKUS:
        await stocked(apis[0], sku, 60)
    mine: list[orders_pb2.Order] = []

    async def worker(seed: int) -> Counter[str]:
        chance = random.Random(seed)  # noqa: S311 - a seed makes the calls the same each time
        return Counter([await outcome(one_of_many(apis, chance, mine)) for _ in range(30)])

    told = sum(await asyncio.gather(*map(worker, range(16))), Counter[str]())
    assert told.total() == 16 * 30
    # A batch that a busy machine does not get done in its time is given up, and may have been stored or not.
    assert {*told} <= {"ok", "OUT_OF_STOCK", "STOCK_TOO_LOW", "ORDER_STATE_CONFLICT", "DATABASE_UNAVAILABLE"}
    assert told["ok"] > 0
    assert await broken(pair.database) == {}


async def test_no_more_stock_is_removed_than_available(server: Running, service: Api) -> None:
    """200 callers write off one of 100 pieces each, of which orders reserve 30."""
    await stocked(service, "A", 100)
    await placed(service, ("A", 30))
    calls = (service.inventory.AdjustStock(written_off("A", 1)) for _ in range(200))
    assert await outcomes(calls) == {"ok": 70, "STOCK_TOO_LOW": 130}
    assert await stock_of(service, "A") == (30, 30, 0)
    assert await broken(server.database) == {}


async def test_of_concurrent_edits_under_one_etag_one_succeeds(service: Api) -> None:
    """16 edits: one succeeds, and the others are refused, so that no edit is lost."""
    read = await created(service, "A")
    edits = [products_pb2.Product(product_id=read.product_id, name=f"{n}", etag=read.etag) for n in range(16)]
    requests = [catalog_service_pb2.UpdateProductRequest(product=edit) for edit in edits]
    calls = (service.catalog.UpdateProduct(request) for request in requests)
    assert await outcomes(calls) == {"ok": 1, "ETAG_MISMATCH": 15}


async def test_imports_and_orders_of_the_same_products_do_not_deadlock(server: Running, service: Api) -> None:
    """An order's lines come in any order, an import's products in its own."""
    skus = [f"{n:02}" for n in range(40)]
    await service.catalog.ImportProducts(imported(skus, 1))
    for sku in skus:
        await service.inventory.AdjustStock(receipt(sku, 1000))
    lines = [(sku, 1) for sku in reversed(skus)]

    async def order_on() -> Counter[str]:
        return Counter([await outcome(service.orders.PlaceOrder(ask(*lines))) for _ in range(20)])

    async def import_on() -> Counter[str]:
        return Counter([await outcome(service.catalog.ImportProducts(imported(skus, n))) for n in range(20)])

    told = await asyncio.gather(order_on(), import_on(), import_on())
    assert sum(told, Counter[str]()) == {"ok": 60}
    assert await broken(server.database) == {}


def imported(skus: list[str], units: int) -> Iterator[catalog_service_pb2.ImportProductsRequest]:
    """An import of these products at a price."""
    return iter([catalog_service_pb2.ImportProductsRequest(product=draft(sku, price=pounds(units))) for sku in skus])


async def test_concurrent_imports_of_the_same_new_products_are_all_answered(server: Running, service: Api) -> None:
    """Each product is created by one of them, and the others find it unchanged."""
    skus = [f"{n:03}" for n in range(100)]
    answers = await asyncio.gather(*(service.catalog.ImportProducts(imported(skus, 1)) for _ in range(4)))
    assert sum(answer.created_count for answer in answers) == 100
    assert sum(answer.unchanged_count for answer in answers) == 300
    assert await count(server.database, "products") == 100


async def test_more_calls_than_one_connection_carries_are_all_answered(server: Running, service: Api) -> None:
    """1,300 adjustments over one connection: those above its stream limit wait, and none is lost.

    On a slow machine, some get no connection to the database in time, and are repeated, as clients do it.
    """
    await created(service, "A")
    left = [receipt("A", 1, request_id=str(uuid4())) for _ in range(1300)]
    while left:
        answers = await asyncio.gather(*(service.inventory.AdjustStock(each).code() for each in left))
        assert {*answers} <= {grpc.StatusCode.OK, grpc.StatusCode.UNAVAILABLE}
        done = len(left)
        left = [each for each, code in zip(left, answers, strict=True) if code is not grpc.StatusCode.OK]
        assert len(left) < done
    assert await stock_of(service, "A") == (1300, 0, 1300)
    assert await broken(server.database) == {}

"""Before a bench and after it: products are made and stocked, and what the server keeps of them is read."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TypeVar

from backroom.commerce.v1.catalog_service_pb2 import ImportProductsRequest, ImportProductsResponse
from backroom.commerce.v1.inventory_service_pb2 import (
    AdjustStockRequest,
    AdjustStockResponse,
    GetStockRequest,
    GetStockResponse,
)
from backroom.commerce.v1.order_service_pb2 import ListOrdersRequest, ListOrdersResponse
from backroom.commerce.v1.orders_pb2 import Order
from backroom.commerce.v1.stock_pb2 import StockReason
from backroom_client.concurrently import concurrently
from load.asks import Asks, Unexpected
from load.books import Kept
from load.calls import NotSent
from load.connections import Connections
from load.sample import Refused

IMPORT_PRODUCTS = "/backroom.commerce.v1.CatalogService/ImportProducts"
ADJUST_STOCK = "/backroom.commerce.v1.InventoryService/AdjustStock"
GET_STOCK = "/backroom.commerce.v1.InventoryService/GetStock"
LIST_ORDERS = "/backroom.commerce.v1.OrderService/ListOrders"

AT_ONCE = 256
"""Calls of those that set up a bench, and read what it left."""

_LARGEST_PAGE = 1000
_TRIES = 60
_REST = 0.2
"""In seconds: how long to wait after a refusal that does not say how long."""

Answer = TypeVar("Answer")


async def stock_up(connections: Connections, asks: Asks, pieces: int) -> None:
    """Makes the products, and puts so many pieces of each on hand."""
    importing = await connections.stream(0, IMPORT_PRODUCTS)
    for product in asks.products():
        importing.send(ImportProductsRequest(product=product).SerializeToString())
    importing.end_sending()
    imported = ImportProductsResponse.FromString(await importing.receive() or b"")
    if imported.created_count != len(asks.skus):
        raise Unexpected(f"{imported.created_count:,} of {len(asks.skus):,} products were created")
    adjust = connections.method(ADJUST_STOCK)

    async def receive(place: int) -> None:
        request = AdjustStockRequest(
            sku=asks.skus[place], delta=pieces, reason=StockReason.STOCK_REASON_RECEIVED, note="for a bench"
        )
        answer = AdjustStockResponse.FromString(await patiently(lambda: adjust(place, request.SerializeToString())))
        if answer.stock.on_hand != pieces:
            raise Unexpected(f"{asks.skus[place]}: {answer.stock.on_hand:,} on hand after {pieces:,} were received")

    await concurrently(receive, range(len(asks.skus)), at_once=AT_ONCE)


async def kept(connections: Connections, asks: Asks) -> Kept:
    """The stock of the products, and the orders of the bench."""
    get = connections.method(GET_STOCK)
    levels = [(0, 0)] * len(asks.skus)

    async def read(place: int) -> None:
        request = GetStockRequest(sku=asks.skus[place]).SerializeToString()
        found = GetStockResponse.FromString(await patiently(lambda: get(place, request))).stock
        levels[place] = (found.on_hand, found.held)

    await concurrently(read, range(len(asks.skus)), at_once=AT_ONCE)
    orders = pieces = 0
    async for order in _orders_of(connections, asks.customer):
        orders += 1
        pieces += order.unit_count
    return Kept(levels, orders, pieces)


async def patiently(call: Callable[[], Awaitable[Answer]]) -> Answer:
    """Calls again where the server is busy for the moment, as after a bench, or ended a connection that was idle."""
    for _ in range(_TRIES):
        try:
            return await call()
        except Refused as refused:
            await asyncio.sleep(refused.retry_after or _REST)
        except NotSent:
            continue
    return await call()


async def _orders_of(connections: Connections, customer: str) -> AsyncIterator[Order]:
    list_orders = connections.method(LIST_ORDERS)
    request = ListOrdersRequest(page_size=_LARGEST_PAGE, customer_id=customer)
    while True:
        page = ListOrdersResponse.FromString(await patiently(lambda: list_orders(0, request.SerializeToString())))
        for order in page.orders:
            yield order
        if not page.next_page_token:
            return
        request.page_token = page.next_page_token

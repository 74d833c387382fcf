"""Before and after a bench: creates and stocks products, and reads what the server has of them."""

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
from load.calls import NotSent
from load.connections import Connections
from load.order_requests import OrderRequests, Unexpected
from load.sample import Refused
from load.totals import Kept

IMPORT_PRODUCTS = "/backroom.commerce.v1.CatalogService/ImportProducts"
ADJUST_STOCK = "/backroom.commerce.v1.InventoryService/AdjustStock"
GET_STOCK = "/backroom.commerce.v1.InventoryService/GetStock"
LIST_ORDERS = "/backroom.commerce.v1.OrderService/ListOrders"

CONCURRENCY = 256
"""Concurrent calls that set up a bench, and read its results."""

_MAX_PAGE = 1000
_TRIES = 60
_REST_SECONDS = 0.2
"""In seconds: how long to wait after a refusal that does not say how long."""

Answer = TypeVar("Answer")


async def stock_up(connections: Connections, order_requests: OrderRequests, pieces: int) -> None:
    """Creates the products, and puts this many pieces of each on hand."""
    importing = await connections.stream(0, IMPORT_PRODUCTS)
    for product in order_requests.products():
        importing.send(ImportProductsRequest(product=product).SerializeToString())
    importing.end_sending()
    imported = ImportProductsResponse.FromString(await importing.receive() or b"")
    if imported.created_count != len(order_requests.skus):
        raise Unexpected(f"{imported.created_count:,} of {len(order_requests.skus):,} products were created")
    adjust = connections.method(ADJUST_STOCK)

    async def receive(place: int) -> None:
        request = AdjustStockRequest(
            sku=order_requests.skus[place], delta=pieces, reason=StockReason.STOCK_REASON_RECEIVED, note="for a bench"
        )
        answer = AdjustStockResponse.FromString(await with_retries(lambda: adjust(place, request.SerializeToString())))
        if answer.stock.on_hand != pieces:
            raise Unexpected(
                f"{order_requests.skus[place]}: {answer.stock.on_hand:,} on hand after {pieces:,} were received"
            )

    await concurrently(receive, range(len(order_requests.skus)), at_once=CONCURRENCY)


async def kept(connections: Connections, order_requests: OrderRequests) -> Kept:
    """The stock of the products, and the orders of the bench."""
    get = connections.method(GET_STOCK)
    levels = [(0, 0)] * len(order_requests.skus)

    async def read(place: int) -> None:
        request = GetStockRequest(sku=order_requests.skus[place]).SerializeToString()
        found = GetStockResponse.FromString(await with_retries(lambda: get(place, request))).stock
        levels[place] = (found.on_hand, found.held)

    await concurrently(read, range(len(order_requests.skus)), at_once=CONCURRENCY)
    orders = pieces = 0
    async for order in _orders_of(connections, order_requests.customer):
        orders += 1
        pieces += order.unit_count
    return Kept(levels, orders, pieces)


async def with_retries(call: Callable[[], Awaitable[Answer]]) -> Answer:
    """Retries while the server is busy, as after a bench, or has closed an idle connection."""
    for _ in range(_TRIES):
        try:
            return await call()
        except Refused as refused:
            await asyncio.sleep(refused.retry_after or _REST_SECONDS)
        except NotSent:
            continue
    return await call()


async def _orders_of(connections: Connections, customer: str) -> AsyncIterator[Order]:
    list_orders = connections.method(LIST_ORDERS)
    request = ListOrdersRequest(page_size=_MAX_PAGE, customer_id=customer)
    while True:
        page = ListOrdersResponse.FromString(await with_retries(lambda: list_orders(0, request.SerializeToString())))
        for order in page.orders:
            yield order
        if not page.next_page_token:
            return
        request.page_token = page.next_page_token

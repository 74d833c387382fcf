"""Products for tests to sell."""

from collections.abc import Sequence
from typing import Any
from uuid import uuid4

from google.protobuf.message import Message
from google.type import money_pb2

from backroom.commerce.v1 import (
    catalog_service_pb2,
    inventory_service_pb2,
    order_service_pb2,
    orders_pb2,
    products_pb2,
    stock_pb2,
)
from tests.fixtures.servers import Api


def pounds(units: int, nanos: int = 0) -> money_pb2.Money:
    return money_pb2.Money(currency_code="GBP", units=units, nanos=nanos)


def draft(sku: str, **rest: Any) -> products_pb2.Product:
    """A product as a caller describes it."""
    return products_pb2.Product(**{"sku": sku, "name": f"Name of {sku}", "price": pounds(2, 550_000_000), **rest})


async def created(api: Api, sku: str, **rest: Any) -> products_pb2.Product:
    """A product with no stock."""
    request = catalog_service_pb2.CreateProductRequest(product=draft(sku, **rest))
    product: products_pb2.Product = (await api.catalog.CreateProduct(request)).product
    return product


async def stocked(api: Api, sku: str, pieces: int, **rest: Any) -> products_pb2.Product:
    """A product with this many pieces on hand."""
    product = await created(api, sku, **rest)
    if pieces:
        await api.inventory.AdjustStock(receipt(sku, pieces))
    return product


def receipt(sku: str, pieces: int, **rest: Any) -> inventory_service_pb2.AdjustStockRequest:
    reason = stock_pb2.STOCK_REASON_RECEIVED
    return inventory_service_pb2.AdjustStockRequest(**{"sku": sku, "delta": pieces, "reason": reason, **rest})


def ask(*lines: tuple[str, int], **rest: Any) -> order_service_pb2.PlaceOrderRequest:
    """A request for an order of lines of (sku, quantity), with a new request_id."""
    items = [order_service_pb2.LineItem(sku=sku, quantity=quantity) for sku, quantity in lines]
    return order_service_pb2.PlaceOrderRequest(**{"request_id": str(uuid4()), "lines": items, **rest})


async def placed(api: Api, *lines: tuple[str, int], **rest: Any) -> orders_pb2.Order:
    order: orders_pb2.Order = (await api.orders.PlaceOrder(ask(*lines, **rest))).order
    return order


async def cancelled(api: Api, order: orders_pb2.Order, **rest: Any) -> orders_pb2.Order:
    request = order_service_pb2.CancelOrderRequest(order_id=order.order_id, **rest)
    answer: orders_pb2.Order = (await api.orders.CancelOrder(request)).order
    return answer


async def found(api: Api, order_id: str) -> orders_pb2.Order:
    request = order_service_pb2.GetOrderRequest(order_id=order_id)
    order: orders_pb2.Order = (await api.orders.GetOrder(request)).order
    return order


async def stock_of(api: Api, sku: str) -> tuple[int, int, int]:
    """(on hand, held, available)"""
    found = await api.inventory.GetStock(inventory_service_pb2.GetStockRequest(sku=sku))
    return (found.stock.on_hand, found.stock.held, found.stock.available)


async def pages(method: Any, request: Any, items: str) -> list[Sequence[Any]]:
    """All pages of a list."""
    read = []
    while True:
        page = await method(request)
        read.append(getattr(page, items))
        if not page.next_page_token:
            return read
        request.page_token = page.next_page_token


def raw(message: Message) -> bytes:
    """A message as bytes that are equal if the messages are."""
    return message.SerializeToString(deterministic=True)

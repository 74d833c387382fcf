"""Goods to sell, for tests."""

from typing import Any
from uuid import uuid4

from backroom.commerce.v1 import catalog_service_pb2, inventory_service_pb2, order_service_pb2, products_pb2, stock_pb2
from google.type import money_pb2

from tests.fixtures.servers import Api


def pounds(units: int, nanos: int = 0) -> money_pb2.Money:
    return money_pb2.Money(currency_code="GBP", units=units, nanos=nanos)


async def stocked(api: Api, sku: str, pieces: int, *, price: money_pb2.Money | None = None) -> products_pb2.Product:
    """A product with so many pieces on hand."""
    product = products_pb2.Product(sku=sku, name=f"Name of {sku}", price=price or pounds(2, 550_000_000))
    created = await api.catalog.CreateProduct(catalog_service_pb2.CreateProductRequest(product=product))
    if pieces:
        await api.inventory.AdjustStock(receipt(sku, pieces))
    return created.product  # type: ignore[no-any-return]


def receipt(sku: str, pieces: int, **rest: Any) -> inventory_service_pb2.AdjustStockRequest:
    reason = stock_pb2.STOCK_REASON_RECEIVED
    return inventory_service_pb2.AdjustStockRequest(**{"sku": sku, "delta": pieces, "reason": reason, **rest})


def ask(*lines: tuple[str, int], **rest: Any) -> order_service_pb2.PlaceOrderRequest:
    """An ask for an order of lines of (sku, quantity), under a request_id of its own."""
    items = [order_service_pb2.LineItem(sku=sku, quantity=quantity) for sku, quantity in lines]
    return order_service_pb2.PlaceOrderRequest(**{"request_id": str(uuid4()), "lines": items, **rest})


async def stock_of(api: Api, sku: str) -> tuple[int, int, int]:
    """(on hand, held, available)"""
    found = await api.inventory.GetStock(inventory_service_pb2.GetStockRequest(sku=sku))
    return (found.stock.on_hand, found.stock.held, found.stock.available)

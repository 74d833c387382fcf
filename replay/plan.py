"""What a replay sends; every request_id is derived from its purpose, so that a second replay changes nothing."""

from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from functools import lru_cache

from google.protobuf.duration_pb2 import Duration
from google.type.money_pb2 import Money

from backroom.commerce.v1.catalog_service_pb2 import ImportProductsRequest
from backroom.commerce.v1.inventory_service_pb2 import AdjustStockRequest
from backroom.commerce.v1.order_service_pb2 import LineItem, PlaceOrderRequest
from backroom.commerce.v1.payment_service_pb2 import CreatePaymentRequest, RefundPaymentRequest
from backroom.commerce.v1.payments_pb2 import Payment, RestockLine
from backroom.commerce.v1.products_pb2 import Product
from backroom.commerce.v1.stock_pb2 import StockReason
from backroom_client import request_id_for
from replay.dataset import Dataset, Line, Order, WriteOff
from replay.figures import CURRENCY
from replay.returns import GoodsBack

_HOLD = Duration(seconds=24 * 3600)
"""A whole year is placed before the last of it is paid."""

SHOP = "online-retail"
"""The first part of every derived request_id."""


def imports(dataset: Dataset) -> Iterator[ImportProductsRequest]:
    """Each product once, with its first name that is not empty and its first price."""
    names: dict[str, str] = {}
    prices: dict[str, Decimal] = {}
    # Orders come first: a write-off's description says what went wrong, and its price is 0.
    for line in _lines(dataset):
        names[line.sku] = names.get(line.sku) or line.description
        prices.setdefault(line.sku, line.unit_price)
    for lost in dataset.write_offs:
        names[lost.sku] = names.get(lost.sku) or lost.description
        prices.setdefault(lost.sku, Decimal(0))
    request_id = request_id_for(SHOP, "products", dataset.digest)
    for sku, price in prices.items():
        product = Product(sku=sku, name=names[sku], price=money(price))
        yield ImportProductsRequest(request_id=request_id, product=product)


def stock_needed(dataset: Dataset) -> Counter[str]:
    """How many pieces of each product the orders and the write-offs take together."""
    needed: Counter[str] = Counter()
    for line in _lines(dataset):
        needed[line.sku] += line.quantity
    for lost in dataset.write_offs:
        needed[lost.sku] += lost.quantity
    return needed


def receipts(dataset: Dataset) -> Iterator[AdjustStockRequest]:
    """The stock that the selection needs, one request per product; another selection has its own."""
    for sku, units in stock_needed(dataset).items():
        yield AdjustStockRequest(
            request_id=request_id_for(SHOP, "stock", dataset.digest, sku),
            sku=sku,
            delta=units,
            reason=StockReason.STOCK_REASON_RECEIVED,
            # Only the content may be included: the same rows may come from another file.
            note=f"replay: stock for the selection {dataset.digest[:12]}",
        )


def order_request(order: Order) -> PlaceOrderRequest:
    """The order under its invoice's number, the same in every selection."""
    return PlaceOrderRequest(
        request_id=order_request_id(order),
        reference=order.invoice,
        customer_id=order.customer_id,
        hold_duration=_HOLD,
        lines=[
            LineItem(sku=line.sku, quantity=line.quantity, unit_price=money(line.unit_price)) for line in order.lines
        ],
    )


def order_request_id(order: Order) -> str:
    return request_id_for(SHOP, "order", order.invoice)


def write_off_request(lost: WriteOff) -> AdjustStockRequest:
    """The write-off under its row's place in its invoice, the same in every selection."""
    return AdjustStockRequest(
        request_id=request_id_for(SHOP, "write-off", lost.invoice, str(lost.place)),
        sku=lost.sku,
        delta=-lost.quantity,
        reason=StockReason.STOCK_REASON_WRITTEN_OFF,
        note=f"replay: invoice {lost.invoice}" + (f": {lost.description}" if lost.description else ""),
    )


def payment_request(invoice: str, order_id: str) -> CreatePaymentRequest:
    """The payment of an order with the provider's default method."""
    return CreatePaymentRequest(request_id=request_id_for(SHOP, "payment", invoice), payment=Payment(order_id=order_id))


def refund_request(back: GoodsBack, payment_id: str) -> RefundPaymentRequest:
    """The refund of one return for one order, with its goods, the same in every selection."""
    return RefundPaymentRequest(
        request_id=request_id_for(SHOP, "return", back.invoice, back.order),
        payment_id=payment_id,
        amount=money(back.amount),
        note=_return_note(back),
        restock=[RestockLine(sku=sku, quantity=quantity) for sku, quantity in back.pieces.items()],
    )


def goods_back_requests(back: GoodsBack) -> Iterator[AdjustStockRequest]:
    """The goods only, one request per product; for free goods, since a refund must be of more than zero."""
    for sku, quantity in back.pieces.items():
        yield AdjustStockRequest(
            request_id=request_id_for(SHOP, "return", back.invoice, back.order, sku),
            sku=sku,
            delta=quantity,
            reason=StockReason.STOCK_REASON_RETURNED,
            note=_return_note(back),
        )


@lru_cache(maxsize=10_000)
def money(amount: Decimal) -> Money:
    """An amount in GBP on the wire, exact; shared, so do not modify it."""
    units = int(amount)
    return Money(currency_code=CURRENCY, units=units, nanos=int((amount - units).scaleb(9)))


def _return_note(back: GoodsBack) -> str:
    return f"replay: return {back.invoice} of order {back.order}"


def _lines(dataset: Dataset) -> Iterator[Line]:
    return (line for order in dataset.orders for line in order.lines)

"""commerce's messages to plain values, and back."""

from collections import Counter
from decimal import Decimal
from typing import Any
from uuid import UUID

from google.type import money_pb2

from backroom.commerce.v1 import (
    catalog_service_pb2,
    inventory_service_pb2,
    order_service_pb2,
    orders_pb2,
    payment_service_pb2,
    payments_pb2,
    products_pb2,
    stock_pb2,
)
from server.commerce.rules import catalog, inventory, orders, payments
from server.frame.caller import Caller
from server.frame.editing import Edit, as_sent, edit_of, etag_of
from server.frame.wire import EnumNames, id_text, optional_name, optional_uuid, period_of, require, timestamp
from storage.commerce.records import (
    Movement,
    Order,
    OrderFilter,
    OrderLine,
    OrderState,
    Payment,
    PaymentFilter,
    PaymentState,
    Price,
    Product,
    Refund,
    RefundReason,
    RefundState,
    StockLevel,
    StockReason,
)
from storage.frame.records import ChangeContext

_NANO = Decimal("1E-9")
_EDITABLE = {**as_sent("name", "description", "archived"), "price": lambda product: _price_of(product)}
"""The fields of a product that an update_mask may name."""
_ORDER_STATES = EnumNames(OrderState, orders_pb2.OrderState)
_PAYMENT_STATES = EnumNames(PaymentState, payments_pb2.PaymentState)
_REFUND_REASONS = EnumNames(RefundReason, payments_pb2.RefundReason)
_REFUND_STATES = EnumNames(RefundState, payments_pb2.RefundState)
_STOCK_REASONS = EnumNames(StockReason, stock_pb2.StockReason)


def price(money: money_pb2.Money) -> Price:
    return Price(money.units + money.nanos * _NANO, money.currency_code)


def money(amount: Decimal, currency: str) -> Any:
    """What the constructor of a message takes for a field that is a Money, as of `timestamp`."""
    units = int(amount)
    return {"currency_code": currency, "units": units, "nanos": int((amount - units).scaleb(9))}


def draft(product: products_pb2.Product) -> catalog.ProductDraft:
    """Raises FieldInvalid where the sku or the price is missing."""
    require(product, "sku")
    return catalog.ProductDraft(product.sku, product.name, product.description, _price_of(product), product.archived)


def edit(request: catalog_service_pb2.UpdateProductRequest) -> Edit[UUID]:
    """Raises FieldInvalid where the product_id is missing, or the mask names a field that cannot be changed."""
    return edit_of(request.product, request.update_mask, ("product_id", UUID), _EDITABLE)


def product(kept: Product) -> products_pb2.Product:
    return products_pb2.Product(
        product_id=id_text(kept.id),
        sku=kept.sku,
        name=kept.name,
        description=kept.description,
        price=money(kept.price.amount, kept.price.currency),
        archived=kept.archived,
        etag=etag_of(kept),
        create_time=timestamp(kept.create_time),
        update_time=timestamp(kept.update_time),
    )


def adjustment(
    request: inventory_service_pb2.AdjustStockRequest, caller: Caller, context: ChangeContext
) -> inventory.AdjustStock:
    """Raises FieldInvalid where the delta's sign contradicts the reason."""
    reason = _STOCK_REASONS.member(request.reason)
    inventory.check_sign(reason, request.delta)
    return inventory.AdjustStock(caller, context, request.sku, request.delta, reason, request.note)


def stock(level: StockLevel) -> stock_pb2.Stock:
    return stock_pb2.Stock(sku=level.sku, on_hand=level.on_hand, held=level.held, available=level.on_hand - level.held)


def movement(kept: Movement) -> stock_pb2.StockMovement:
    return stock_pb2.StockMovement(
        sequence=kept.sequence,
        sku=kept.sku,
        reason=_STOCK_REASONS.wire(kept.reason),
        on_hand_delta=kept.on_hand_delta,
        held_delta=kept.held_delta,
        on_hand_after=kept.on_hand_after,
        held_after=kept.held_after,
        order_id=id_text(kept.order_id),
        note=kept.note,
        account_id=id_text(kept.account_id),
        create_time=timestamp(kept.create_time),
    )


def place_order(
    request: order_service_pb2.PlaceOrderRequest, caller: Caller, context: ChangeContext, order_id: UUID
) -> orders.PlaceOrder:
    lines = tuple(
        orders.Line(line.sku, line.quantity, price(line.unit_price) if line.HasField("unit_price") else None)
        for line in request.lines
    )
    hold = request.hold_duration.ToTimedelta() if request.HasField("hold_duration") else None
    reference = optional_name(request.reference, "reference")
    customer_id = optional_name(request.customer_id, "customer_id")
    return orders.PlaceOrder(caller, context, order_id, reference, customer_id, lines, hold)


def order_filter(request: order_service_pb2.ListOrdersRequest) -> OrderFilter:
    start_time, end_time = period_of(request)
    return OrderFilter(
        state=_ORDER_STATES.find(request.state),
        customer_id=optional_name(request.customer_id, "customer_id"),
        start_time=start_time,
        end_time=end_time,
    )


def order(kept: Order) -> orders_pb2.Order:
    currency = kept.total.currency
    return orders_pb2.Order(
        order_id=id_text(kept.id),
        reference=kept.reference or "",
        customer_id=kept.customer_id,
        placed_by=id_text(kept.placed_by),
        state=_ORDER_STATES.wire(kept.state),
        lines=[_line(line, currency) for line in kept.lines],
        line_count=kept.line_count,
        unit_count=kept.unit_count,
        total=money(kept.total.amount, currency),
        create_time=timestamp(kept.create_time),
        update_time=timestamp(kept.update_time),
        cancel_reason=kept.cancel_reason,
        hold_end_time=timestamp(kept.hold_end_time) if kept.state is OrderState.PENDING else None,
    )


def refund_request(request: payment_service_pb2.RefundPaymentRequest) -> payments.RefundRequest:
    amount = price(request.amount) if request.HasField("amount") else None
    restock: Counter[str] = Counter()
    for item in request.restock:
        restock[item.sku] += item.quantity
    return payments.RefundRequest(UUID(request.payment_id), amount, request.note, restock)


def payment_filter(request: payment_service_pb2.ListPaymentsRequest) -> PaymentFilter:
    return PaymentFilter(
        order_id=optional_uuid(request.order_id),
        state=_PAYMENT_STATES.find(request.state),
    )


def payment(kept: Payment) -> payments_pb2.Payment:
    currency = kept.amount.currency
    return payments_pb2.Payment(
        payment_id=id_text(kept.id),
        order_id=id_text(kept.order_id),
        provider=kept.provider,
        provider_payment_id=kept.provider_id or "",
        state=_PAYMENT_STATES.wire(kept.state),
        amount=money(kept.amount.amount, currency),
        authorized_amount=money(kept.authorized, currency),
        captured_amount=money(kept.captured, currency),
        refunded_amount=money(kept.refunded, currency),
        failure=kept.failure,
        client_secret=kept.client_secret,
        refunds=[_refund(refund, currency) for refund in kept.refunds],
        create_time=timestamp(kept.create_time),
        update_time=timestamp(kept.update_time),
    )


def _refund(kept: Refund, currency: str) -> payments_pb2.Refund:
    return payments_pb2.Refund(
        refund_id=id_text(kept.id),
        state=_REFUND_STATES.wire(kept.state),
        amount=money(kept.amount, currency),
        reason=_REFUND_REASONS.wire(kept.reason),
        note=kept.note,
        restock=[payments_pb2.RestockLine(sku=line.sku, quantity=line.quantity) for line in kept.restock],
        create_time=timestamp(kept.create_time),
        update_time=timestamp(kept.update_time),
    )


def _line(line: OrderLine, currency: str) -> orders_pb2.OrderLine:
    return orders_pb2.OrderLine(
        sku=line.sku,
        quantity=line.quantity,
        unit_price=money(line.unit_price, currency),
        amount=money(line.quantity * line.unit_price, currency),
    )


def _price_of(product: products_pb2.Product) -> Price:
    require(product, "price")
    return price(product.price)

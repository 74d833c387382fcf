"""The events that others learn of: the types of commerce's events, and what each one says."""

from collections.abc import Mapping

import orjson

from server.frame.events import EventType
from storage.commerce.records import Order, OrderState, Payment, Price
from storage.frame.records import Event

_ORDERS = ("orders.read", "orders.read_all")
_PAYMENTS = ("payments.read", "orders.read_all")

EVENT_TYPES: Mapping[str, EventType] = {
    "order.placed": EventType("An order was placed and reserves its stock.", _ORDERS),
    "order.paid": EventType("An order was paid; its goods are sold.", _ORDERS),
    "order.fulfilled": EventType("An order was fulfilled: it was handed over to the customer.", _ORDERS),
    "order.cancelled": EventType("An order was called off; its stock is free again.", _ORDERS),
    "order.expired": EventType("An order was not paid in time; its stock is free again.", _ORDERS),
    "order.refunded": EventType("All that was paid for an order was paid back.", _ORDERS),
    "payment.captured": EventType("Money was taken.", _PAYMENTS),
    "payment.failed": EventType("The provider refused a payment.", _PAYMENTS),
    "payment.refunded": EventType("Money was paid back, whole or in part.", _PAYMENTS),
}


def order_event(order: Order) -> Event:
    """The event of an order's new state; `order.placed` for a new one."""
    happened = "placed" if order.state is OrderState.PENDING else order.state.value
    data = {
        "order_id": order.id,
        "reference": order.reference or "",
        "customer_id": order.customer_id,
        "placed_by": order.placed_by,
        "state": order.state,
        "line_count": order.line_count,
        "unit_count": order.unit_count,
        "total": _money(order.total),
        "cancel_reason": order.cancel_reason,
        "create_time": order.create_time,
        "update_time": order.update_time,
    }
    return Event(f"order.{happened}", order.id, orjson.dumps(data).decode(), order.update_time)


def payment_event(happened: str, payment: Payment) -> Event:
    """What happened to a payment: captured, failed or refunded."""
    currency = payment.amount.currency
    data = {
        "payment_id": payment.id,
        "order_id": payment.order_id,
        "provider": payment.provider,
        "state": payment.state,
        "amount": _money(payment.amount),
        "captured_amount": _money(Price(payment.captured, currency)),
        "refunded_amount": _money(Price(payment.refunded, currency)),
        "failure": payment.failure,
        "update_time": payment.update_time,
    }
    return Event(f"payment.{happened}", payment.id, orjson.dumps(data).decode(), payment.update_time)


def _money(price: Price) -> Mapping[str, str]:
    """An exact amount as text, without needless zeros; not in an exponent's form."""
    return {"amount": f"{price.amount.normalize():f}", "currency": price.currency}

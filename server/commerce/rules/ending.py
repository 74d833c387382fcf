"""How orders end before they are handed over: called off, or not paid in time."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from uuid import UUID

from server.commerce.rules.events import order_event
from server.commerce.rules.inventory import Ledger
from server.commerce.rules.life import moved
from server.commerce.rules.payments import OPEN, Restocked, left_to_refund, made_refund, still_sold
from server.commerce.rules.settling import Settlement
from server.frame.caller import Caller
from storage.commerce.records import Order, OrderState, Payment, RefundReason, StockItem, StockReason
from storage.frame.records import NOBODY


def cancel(
    order: Order,
    reason: str,
    payments: Sequence[Payment],
    returned: Restocked,
    stock_items: Sequence[StockItem],
    caller: Caller,
    new_id: Callable[[], UUID],
    now: datetime,
) -> Settlement:
    """Lets go of what a pending order holds; takes back what a paid one was sold, and pays it back.

    `payments` and `returned` are those of the order. Raises OrderStateConflict.
    """
    ended = moved(order, OrderState.CANCELLED, now, cancel_reason=reason)
    ledger = Ledger(stock_items, now)
    if order.state is OrderState.PENDING:
        ledger.book(order, StockReason.RELEASED, caller.account_id)
    else:
        ledger.book(order, StockReason.RETURNED, caller.account_id, still_sold(order, returned))
    settlement = _ended([ended], payments, ledger)
    for payment in payments:
        if (left := left_to_refund(payment)) > 0:
            refund = made_refund(payment, new_id(), left, RefundReason.ORDER_CANCELLED, now)
            settlement.new_refunds[refund.id] = refund
    return settlement


def expire(
    orders: Mapping[UUID, Order], payments: Sequence[Payment], stock_items: Sequence[StockItem], now: datetime
) -> Settlement:
    """Lets go of what pending orders hold whose time has come; `payments` are those of the orders."""
    ledger = Ledger(stock_items, now)
    for order in orders.values():
        ledger.book(order, StockReason.EXPIRED, NOBODY)
    return _ended([moved(order, OrderState.EXPIRED, now) for order in orders.values()], payments, ledger)


def _ended(orders: Sequence[Order], payments: Sequence[Payment], ledger: Ledger) -> Settlement:
    return Settlement(
        orders={order.id: order for order in orders},
        moves=ledger.moves,
        events=[order_event(order) for order in orders],
        unwanted=[payment.id for payment in payments if payment.state in OPEN],
    )

"""An order's life: which state may follow which. docs/order-life.md draws it, and a test holds the two together."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

from server.commerce.errors import OrderStateConflict
from storage.commerce.records import Order, OrderState

NEXT: Mapping[OrderState, frozenset[OrderState]] = {
    OrderState.PENDING: frozenset({OrderState.PAID, OrderState.CANCELLED, OrderState.EXPIRED}),
    OrderState.PAID: frozenset({OrderState.FULFILLED, OrderState.CANCELLED, OrderState.REFUNDED}),
    OrderState.FULFILLED: frozenset({OrderState.REFUNDED}),
    # A payment that arrives late finds the stock again, or is paid back.
    OrderState.EXPIRED: frozenset({OrderState.PAID}),
    OrderState.CANCELLED: frozenset(),
    OrderState.REFUNDED: frozenset(),
}

SOLD = frozenset({OrderState.PAID, OrderState.FULFILLED, OrderState.REFUNDED})
"""The states in which an order's goods are sold."""


def moved(order: Order, state: OrderState, now: datetime, *, cancel_reason: str = "") -> Order:
    """The order in its next state; raises OrderStateConflict where that may not follow."""
    check(order, state)
    return replace(order, state=state, cancel_reason=cancel_reason, update_time=now)


def check(order: Order, state: OrderState) -> None:
    """Raises OrderStateConflict where an order may not get into a state."""
    if state not in NEXT[order.state]:
        needed = " or ".join(before.name for before, after in NEXT.items() if state in after)
        raise OrderStateConflict(state=order.state.name, needed=needed)

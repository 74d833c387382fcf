"""What becomes of payments, and of the orders they pay, when a provider reports.

A report is merged into what is known: sums and refusals only grow, so that reports which come late, twice or out of
order lead to one end, and never a step back. What is decided follows from what the merge made true for the first time.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from server.commerce.providers.port import PaymentReport, RefundReport
from server.commerce.rules.events import order_event, payment_event
from server.commerce.rules.inventory import Ledger
from server.commerce.rules.life import NEXT, moved
from server.commerce.rules.payments import left_to_refund, made_refund, with_refund
from storage.commerce.records import (
    NewMovement,
    Order,
    OrderState,
    Payment,
    PaymentState,
    Refund,
    RefundReason,
    RefundState,
    StockItem,
    StockReason,
)
from storage.frame.records import NOBODY, Event

_REFUND_RANK = (RefundState.PENDING, RefundState.FAILED, RefundState.SUCCEEDED)
_WHY_BACK: Mapping[OrderState, RefundReason] = {
    OrderState.EXPIRED: RefundReason.ORDER_EXPIRED,
    OrderState.CANCELLED: RefundReason.ORDER_CANCELLED,
}
"""Why the money goes back that arrives for an order in such a state; in any other, the order was paid already."""


class ReportMismatch(Exception):
    """The provider reports another currency than the payment was asked for in."""


@dataclass(frozen=True, slots=True)
class Settled:
    """A payment as it stands now, and its order's state."""

    payment: Payment
    order_state: OrderState
    touched: tuple[str, ...] = ()
    """What the report changed, as resources of the record."""


@dataclass(slots=True)
class Settlement:
    """All that follows from what happened to orders and their payments."""

    payments: dict[UUID, Payment] = field(default_factory=dict)
    new_refunds: dict[UUID, Refund] = field(default_factory=dict)
    changed_refunds: dict[UUID, Refund] = field(default_factory=dict)
    orders: dict[UUID, Order] = field(default_factory=dict)
    moves: Sequence[NewMovement] = ()
    events: list[Event] = field(default_factory=list)
    unwanted: list[UUID] = field(default_factory=list)
    """The payments that may still take money, and must not any more."""

    @property
    def touched(self) -> Sequence[str]:
        """The orders and payments that are changed, as resources of the record; a refund changes its payment."""
        refunds = (*self.new_refunds.values(), *self.changed_refunds.values())
        payments = dict.fromkeys((*self.payments, *(refund.payment_id for refund in refunds)))
        return (*(f"order/{each}" for each in self.orders), *(f"payment/{each}" for each in payments))


def merged(payment: Payment, report: PaymentReport) -> Payment:
    """The payment with what a report adds to it, its refunds and its update_time left as they are.

    Raises ReportMismatch.
    """
    if report.currency != payment.amount.currency:
        raise ReportMismatch
    refunded = _paid_back(payment, report)
    captured = max(payment.captured, report.captured, refunded)
    known = replace(
        payment,
        provider_id=payment.provider_id or report.provider_id or None,
        authorized=max(payment.authorized, report.authorized, captured),
        captured=captured,
        refunded=refunded,
        failure=max(payment.failure, report.failure),
        voided=payment.voided or report.voided,
        client_secret=payment.client_secret or report.client_secret,
    )
    state = state_of(known)
    # Nothing is left to be confirmed, in whatever order the reports came.
    secret = known.client_secret if state is PaymentState.PENDING else ""
    return replace(known, state=state, client_secret=secret)


def state_of(payment: Payment) -> PaymentState:
    """The state that follows from what is known: the later in life, the stronger."""
    if payment.captured >= payment.amount.amount:
        back = payment.captured > 0 and payment.refunded >= payment.captured
        return PaymentState.REFUNDED if back else PaymentState.CAPTURED
    if payment.failure:
        return PaymentState.FAILED
    if payment.voided:
        return PaymentState.VOIDED
    return PaymentState.AUTHORIZED if payment.authorized > 0 else PaymentState.PENDING


def completes(payment: Payment, report: PaymentReport) -> bool:
    """Whether the report makes the payment captured for the first time, so that stock may move."""
    taken = max(payment.captured, report.captured, _paid_back(payment, report))
    return payment.state not in (PaymentState.CAPTURED, PaymentState.REFUNDED) and taken >= payment.amount.amount


def _paid_back(payment: Payment, report: PaymentReport) -> Decimal:
    """How much was paid back by all that is known; some webhooks tell of one refund, and of no sum."""
    succeeded = {refund.id: refund.amount for refund in payment.refunds if refund.state is RefundState.SUCCEEDED}
    others = Decimal(0)
    for refund in report.refunds:
        if refund.state is RefundState.SUCCEEDED:
            ours = _ours(payment, refund)
            if ours is None:
                others += refund.amount
            else:
                succeeded[ours.id] = ours.amount
    return max(payment.refunded, report.refunded, sum(succeeded.values(), others))


def _ours(payment: Payment, report: RefundReport) -> Refund | None:
    """The refund that a report is of, where we know it."""
    same = (each for each in payment.refunds if each.id == report.refund_id or each.provider_id == report.provider_id)
    return next(same, None)


class ReportProcessor:
    """Takes up reports one after the other, each on what the ones before it left."""

    def __init__(
        self,
        payments: Mapping[UUID, Payment],
        orders: Mapping[UUID, Order],
        stock_items: Sequence[StockItem],
        new_id: Callable[[], UUID],
        now: datetime,
    ) -> None:
        """`payments` are all those of the `orders`; `stock_items` are of the orders that the reports may pay."""
        self._payments = dict(payments)
        self._orders = dict(orders)
        self._ledger = Ledger(stock_items, now)
        self._new_id = new_id
        self._now = now
        self.settlement = Settlement()

    def apply(self, payment_id: UUID, report: PaymentReport) -> Settled:
        """Raises ReportMismatch, and has then changed nothing."""
        before = self._payments[payment_id]
        order = self._orders[before.order_id]
        known = merged(before, report)
        if known != before:
            self._keep(replace(known, update_time=self._now))
        for refund in report.refunds:
            self._apply_refund(payment_id, refund)
        after = self._payments[payment_id]
        if completes(before, report):
            self._publish("captured", after)
            self._pay_order(after)
        if after.state is PaymentState.FAILED and before.state is not PaymentState.FAILED:
            self._publish("failed", after)
        if after.refunded > before.refunded:
            self._publish("refunded", after)
            self._refund_order(self._payments[payment_id])
        return self._settled(before, order)

    def _settled(self, payment: Payment, order: Order) -> Settled:
        """How they stand, after they stood like this."""
        now, paid = self._payments[payment.id], self._orders[order.id]
        touched = [f"order/{order.id}"] * (paid is not order) + [f"payment/{payment.id}"] * (now is not payment)
        return Settled(now, paid.state, tuple(touched))

    def _keep(self, payment: Payment) -> None:
        self._payments[payment.id] = self.settlement.payments[payment.id] = payment

    def _publish(self, happened: str, payment: Payment) -> None:
        self.settlement.events.append(payment_event(happened, payment))

    def _move(self, order: Order, state: OrderState) -> None:
        changed = moved(order, state, self._now)
        self._orders[order.id] = self.settlement.orders[order.id] = changed
        self.settlement.events.append(order_event(changed))

    def _pay_order(self, payment: Payment) -> None:
        order = self._orders[payment.order_id]
        if order.state is OrderState.PENDING:
            self._sell(order)
        elif order.state is OrderState.EXPIRED and self._ledger.covers(order):
            self._ledger.book(order, StockReason.HELD, NOBODY)
            self._sell(order)
        else:
            self._pay_back(payment, _WHY_BACK.get(order.state, RefundReason.PAID_TWICE))
        self.settlement.moves = self._ledger.moves

    def _sell(self, order: Order) -> None:
        self._ledger.book(order, StockReason.SOLD, NOBODY)
        self._move(order, OrderState.PAID)

    def _pay_back(self, payment: Payment, reason: RefundReason) -> None:
        left = left_to_refund(payment)
        if left > 0:
            refund = made_refund(payment, self._new_id(), left, reason, self._now)
            self.settlement.new_refunds[refund.id] = refund
            self._keep(with_refund(payment, refund, self._now))

    def _refund_order(self, payment: Payment) -> None:
        """The order is refunded when nothing that was taken for it is kept."""
        order = self._orders[payment.order_id]
        kept = any(other.captured > other.refunded for other in self._payments.values() if other.order_id == order.id)
        if payment.state is PaymentState.REFUNDED and not kept and OrderState.REFUNDED in NEXT[order.state]:
            self._move(order, OrderState.REFUNDED)

    def _apply_refund(self, payment_id: UUID, report: RefundReport) -> None:
        payment = self._payments[payment_id]
        ours = _ours(payment, report)
        if ours is None:
            made = made_refund(payment, self._new_id(), report.amount, RefundReason.PROVIDER, self._now)
            refund = replace(made, provider_id=report.provider_id, state=report.state)
            self.settlement.new_refunds[refund.id] = refund
            self._keep(with_refund(payment, refund, self._now))
            return
        state = max(ours.state, report.state, key=_REFUND_RANK.index)
        known = replace(ours, provider_id=ours.provider_id or report.provider_id, state=state)
        if known == ours:
            return
        refund = replace(known, update_time=self._now)
        new = self.settlement.new_refunds
        (new if refund.id in new else self.settlement.changed_refunds)[refund.id] = refund
        others = tuple(refund if each.id == refund.id else each for each in payment.refunds)
        self._keep(replace(payment, refunds=others, update_time=self._now))

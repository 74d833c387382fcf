"""Payments as their callers decide them: how one begins, and how it is paid back."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from server.commerce.errors import (
    CurrencyMismatch,
    OrderStateConflict,
    PaymentExists,
    PaymentNotFound,
    PaymentProviderNotConfigured,
    PaymentStateConflict,
    RefundNotPayable,
    RefundTooLarge,
    RestockTooLarge,
    TooManyPayments,
)
from server.commerce.rules import orders
from server.commerce.rules.inventory import pieces_of
from server.commerce.rules.life import SOLD
from server.frame.caller import Caller
from server.frame.errors import PreconditionViolation
from storage.commerce.records import (
    Order,
    OrderState,
    Payment,
    PaymentState,
    Price,
    Refund,
    RefundReason,
    RefundState,
    RestockLine,
)

MAX_PAYMENTS = 20
"""Of one order: whoever tries stolen cards tries many, and each attempt is shown to the provider."""

OPEN = frozenset({PaymentState.PENDING, PaymentState.AUTHORIZED})
"""The states in which a payment may still take money."""

QUERIED = OPEN | {PaymentState.CAPTURED}
"""The states that the provider may still change."""

Restocked = Mapping[UUID, Mapping[UUID, int]]
"""How many pieces of each product came back of an order, by order and product."""


@dataclass(frozen=True, slots=True)
class RefundRequest:
    """An ask to pay back, and to put back goods."""

    payment_id: UUID
    amount: Price | None
    """None means all that is left."""
    note: str
    restock: Mapping[str, int]
    """Pieces by SKU."""


def new_payment(
    order: Order,
    payments: Sequence[Payment],
    payment_id: UUID,
    caller: Caller,
    provider: str | None,
    method: str,
    now: datetime,
) -> Payment:
    """A payment of the whole order, which has these already.

    Raises OrderStateConflict, PaymentExists, TooManyPayments, and PaymentProviderNotConfigured where there is none to
    make it with.
    """
    if order.state is not OrderState.PENDING:
        raise OrderStateConflict(state=order.state.name, needed=OrderState.PENDING.name)
    for other in payments:
        if other.state in OPEN:
            raise PaymentExists(payment_id=str(other.id))
    if len(payments) >= MAX_PAYMENTS:
        raise TooManyPayments(most=str(MAX_PAYMENTS))
    if provider is None:
        raise PaymentProviderNotConfigured
    none = Decimal(0)
    return Payment(
        id=payment_id,
        order_id=order.id,
        created_by=caller.account_id,
        provider=provider,
        provider_id=None,
        method=method,
        state=PaymentState.PENDING,
        amount=order.total,
        authorized=none,
        captured=none,
        refunded=none,
        failure="",
        voided=False,
        client_secret="",
        refunds=(),
        create_time=now,
        update_time=now,
    )


def visible(payment: Payment | None, order: Order | None, caller: Caller, payment_id: UUID) -> Payment:
    """The payment; raises PaymentNotFound where there is none, and just so where the caller may not see its order."""
    if payment is None or order is None or not orders.may_see(order, caller):
        raise PaymentNotFound(payment_id=str(payment_id))
    return payment


def left_to_refund(payment: Payment) -> Decimal:
    """How much was taken, and is neither paid back nor on its way back."""
    asked = sum((refund.amount for refund in payment.refunds if refund.state is not RefundState.FAILED), Decimal(0))
    return payment.captured - max(asked, payment.refunded)


def new_refund(
    payment: Payment,
    order: Order,
    refund_request: RefundRequest,
    back: Restocked,
    refund_id: UUID,
    now: datetime,
    payable: Callable[[Price], bool] = lambda _: True,
) -> Refund:
    """A refund as a caller asks for it; `payable` is whether its provider can pay an amount back.

    Raises PaymentStateConflict, CurrencyMismatch, RefundTooLarge, RefundNotPayable, RestockTooLarge.
    """
    if payment.state is not PaymentState.CAPTURED:
        raise PaymentStateConflict(state=payment.state.name, needed=PaymentState.CAPTURED.name)
    if refund_request.amount is not None and refund_request.amount.currency != payment.amount.currency:
        raise CurrencyMismatch(currencies=",".join(sorted({refund_request.amount.currency, payment.amount.currency})))
    left = left_to_refund(payment)
    amount = refund_request.amount.amount if refund_request.amount is not None else left
    if not 0 < amount <= left:
        raise RefundTooLarge(left=_text(left), captured=_text(payment.captured), currency=payment.amount.currency)
    if not payable(Price(amount, payment.amount.currency)):
        raise RefundNotPayable(amount=f"{amount.normalize():f}", currency=payment.amount.currency)
    restock = _restock(order, refund_request.restock, back.get(order.id, {}))
    return made_refund(
        payment, refund_id, amount, RefundReason.REQUESTED, now, note=refund_request.note, restock=restock
    )


def _text(amount: Decimal) -> str:
    """An amount as people write it, with two decimals or with as many more as it has."""
    plain = amount.quantize(Decimal("0.01"))
    return f"{plain if plain == amount else amount.normalize():f}"


def made_refund(
    payment: Payment,
    refund_id: UUID,
    amount: Decimal,
    reason: RefundReason,
    now: datetime,
    *,
    note: str = "",
    restock: tuple[RestockLine, ...] = (),
) -> Refund:
    state = RefundState.PENDING
    return Refund(refund_id, payment.id, None, state, amount, reason, note, restock, now, now)


def with_refund(payment: Payment, refund: Refund, now: datetime) -> Payment:
    return replace(payment, refunds=(*payment.refunds, refund), update_time=now)


def still_sold(order: Order, back: Restocked) -> Mapping[str, int]:
    """The pieces of an order, by SKU, that were sold and did not come back."""
    returned = back.get(order.id, {})
    left = Counter(pieces_of(order))
    for line in {line.product_id: line for line in order.lines}.values():
        left[line.sku] -= returned.get(line.product_id, 0)
    return +left


def _restock(order: Order, wanted: Mapping[str, int], returned: Mapping[UUID, int]) -> tuple[RestockLine, ...]:
    left = still_sold(order, {order.id: returned}) if order.state in SOLD else {}
    too_many = [sku for sku, quantity in wanted.items() if quantity > left.get(sku, 0)]
    if too_many:
        raise RestockTooLarge(
            preconditions=[
                PreconditionViolation(
                    "SOLD", sku, f"{wanted[sku]} to restock, {left.get(sku, 0)} sold and not yet restocked"
                )
                for sku in too_many
            ]
        )
    products = {line.sku: line.product_id for line in order.lines}
    return tuple(RestockLine(products[sku], sku, quantity) for sku, quantity in sorted(wanted.items()))

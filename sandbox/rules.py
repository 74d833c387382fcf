"""A payment's state at the provider, and the effect of each request on it: no I/O, no clock."""

from dataclasses import dataclass, replace
from decimal import Decimal
from enum import StrEnum

NOTHING = Decimal(0)

FAILURES = {
    "card_refused": "the card was refused",
    "card_capture_refused": "the bank refused the capture",
}
"""Why a payment by these methods fails."""
SLOW = "card_slow"
LATER = "card_later"
REFUND_REFUSED = "card_refund_refused"
METHODS = frozenset({"", "card_ok", SLOW, LATER, REFUND_REFUSED, *FAILURES})


class Kind(StrEnum):
    """What happened to a payment; all but the first are sent by webhook."""

    CREATED = "created"
    AUTHORIZED = "authorized"
    CAPTURED = "captured"
    FAILED = "failed"
    VOIDED = "voided"
    REFUNDED = "refunded"
    REFUND_FAILED = "refund_failed"


@dataclass(frozen=True, slots=True)
class Refund:
    id: str
    reference: str
    amount: Decimal
    succeeded: bool


@dataclass(frozen=True, slots=True)
class Payment:
    id: str
    reference: str
    """The merchant's id for it."""
    method: str
    currency: str
    amount: Decimal
    """The amount that was requested; the amounts below are the outcome."""
    authorized: Decimal = NOTHING
    captured: Decimal = NOTHING
    refunded: Decimal = NOTHING
    failure: str = ""
    voided: bool = False
    refunds: tuple[Refund, ...] = ()

    @property
    def status(self) -> str:
        if self.captured > 0:
            return "refunded" if self.refunded >= self.captured else "captured"
        if self.failure:
            return "failed"
        if self.voided:
            return "voided"
        return "authorized" if self.authorized > 0 else "pending"


@dataclass(frozen=True, slots=True)
class Change:
    """The effect of a request on a payment: its new state, and the ledger entry."""

    payment: Payment
    kind: Kind
    amount: Decimal = NOTHING
    """How much was secured, taken or refunded."""
    refund: Refund | None = None


class RequestRefused(Exception):
    """The request is refused, and not stored; `code` is for machines, and the docstring for people."""

    code = ""
    status = 0


class PaymentUnknown(RequestRefused):
    """The payment does not exist."""

    code = "payment_unknown"
    status = 404


class KeyReused(RequestRefused):
    """This Idempotency-Key was used before, with another request."""

    code = "key_reused"
    status = 409


class NotAuthorized(RequestRefused):
    """The customer has not confirmed the payment yet."""

    code = "not_authorized"
    status = 409


class AmountTooLarge(RequestRefused):
    """More than was authorized cannot be captured."""

    code = "amount_too_large"
    status = 422


def begun(payment: Payment) -> Change | None:
    """The immediate result of a new payment; None if it waits for the customer."""
    if payment.method == LATER:
        return None
    if payment.method not in METHODS:
        return _failed(payment, "there is no such method")
    if payment.method == "card_refused":
        return _failed(payment, FAILURES[payment.method])
    return _authorized(payment)


def confirmed(payment: Payment) -> Change | None:
    """The effect of the customer's confirmation; None if there is nothing left to confirm."""
    return _authorized(payment) if payment.status == "pending" else None


def captured(payment: Payment, amount: Decimal | None) -> Change | None:
    """Money is taken once: None means that it was taken, voided or failed before, and does not change.

    No amount means everything that was authorized. Raises NotAuthorized, AmountTooLarge.
    """
    if payment.status == "pending":
        raise NotAuthorized
    if payment.status != "authorized":
        return None
    if amount is not None and amount > payment.authorized:
        raise AmountTooLarge
    if payment.method == "card_capture_refused":
        return _failed(payment, FAILURES[payment.method])
    taken = payment.authorized if amount is None else amount
    return Change(replace(payment, captured=taken), Kind.CAPTURED, taken)


def voided(payment: Payment) -> Change | None:
    """Releases what was not taken; None if there is nothing to release."""
    if payment.status not in ("pending", "authorized"):
        return None
    return Change(replace(payment, voided=True), Kind.VOIDED)


def refunded(payment: Payment, refund_id: str, reference: str, amount: Decimal) -> Change:
    """Refunds; more than is left, or what the method forbids, is a failed refund."""
    left = payment.captured - payment.refunded
    succeeded = amount <= left and payment.method != REFUND_REFUSED
    refund = Refund(refund_id, reference, amount, succeeded)
    after = replace(payment, refunds=(*payment.refunds, refund))
    if not succeeded:
        return Change(after, Kind.REFUND_FAILED, NOTHING, refund)
    return Change(replace(after, refunded=payment.refunded + amount), Kind.REFUNDED, amount, refund)


def _authorized(payment: Payment) -> Change:
    return Change(replace(payment, authorized=payment.amount), Kind.AUTHORIZED, payment.amount)


def _failed(payment: Payment, why: str) -> Change:
    return Change(replace(payment, failure=why), Kind.FAILED)

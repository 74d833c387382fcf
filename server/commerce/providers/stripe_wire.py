"""What Stripe tells, as far as it is read, and the reports that it comes to.

Where a customer confirms a payment in the browser, a declined card is no end of it: another may be tried. Where we
confirmed it by a token, nobody tries again, and the decline is its failure. The intent's metadata says which it is.
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from server.commerce.providers.minor_units import from_minor_units
from server.commerce.providers.port import PaymentReport, RefundReport
from storage.commerce.records import RefundState

PAYMENT_ID = "payment_id"
REFUND_ID = "refund_id"
CONFIRMED_BY = "confirmed_by"
SERVER, CUSTOMER = "server", "customer"

_REFUND_STATES: Mapping[str, RefundState] = {
    "succeeded": RefundState.SUCCEEDED,
    "failed": RefundState.FAILED,
    "canceled": RefundState.FAILED,
}
"""All others are on their way."""
_WAITING_FOR_CUSTOMER = frozenset({"requires_payment_method", "requires_confirmation", "requires_action"})

Metadata = Mapping[str, str]


class _StripeModel(BaseModel):
    model_config = ConfigDict(frozen=True)


class Refund(_StripeModel):
    id: str
    amount: int
    currency: str
    status: str | None = None
    payment_intent: str | None = None
    metadata: Metadata | None = None

    @property
    def paid_back(self) -> Decimal:
        """Nothing where it has failed or is on its way."""
        report = self.report()
        return report.amount if report.state is RefundState.SUCCEEDED else Decimal(0)

    def report(self) -> RefundReport:
        return RefundReport(
            refund_id=own_id(self.metadata, REFUND_ID),
            provider_id=self.id,
            amount=from_minor_units(self.amount, self.currency.upper()),
            state=_REFUND_STATES.get(self.status or "", RefundState.PENDING),
        )


class RefundList(_StripeModel):
    data: tuple[Refund, ...]
    has_more: bool = False


class Charge(_StripeModel):
    currency: str
    payment_intent: str | None = None
    amount_captured: int = 0
    metadata: Metadata | None = None
    refunds: RefundList | None = None
    """None where Stripe was not asked to expand them."""


class Decline(_StripeModel):
    """An error of Stripe's about a payment; its message is meant for the customer."""

    message: str | None = None
    code: str | None = None

    @property
    def words(self) -> str:
        return self.message or self.code or "the payment was declined"


class Intent(_StripeModel):
    id: str
    currency: str
    status: str
    amount_capturable: int = 0
    amount_received: int = 0
    metadata: Metadata | None = None
    client_secret: str | None = Field(None, repr=False)
    last_payment_error: Decline | None = None
    latest_charge: str | Charge | None = None

    @property
    def refunds(self) -> RefundList:
        """Those that came with it."""
        charge = self.latest_charge
        return charge.refunds if isinstance(charge, Charge) and charge.refunds else RefundList(data=())

    def report(self, refunds: Sequence[Refund], failure: str = "") -> PaymentReport:
        currency = self.currency.upper()
        failure = failure or self._final_decline()
        waiting = self.status in _WAITING_FOR_CUSTOMER and not failure
        return PaymentReport(
            payment_id=own_id(self.metadata, PAYMENT_ID),
            provider_id=self.id,
            currency=currency,
            authorized=from_minor_units(max(self.amount_capturable, self.amount_received), currency),
            captured=from_minor_units(self.amount_received, currency),
            refunded=sum((refund.paid_back for refund in refunds), Decimal(0)),
            failure=failure,
            voided=self.status == "canceled",
            client_secret=(self.client_secret or "") if waiting else "",
            refunds=tuple(refund.report() for refund in refunds),
        )

    def _final_decline(self) -> str:
        by_us = (self.metadata or {}).get(CONFIRMED_BY) == SERVER
        if by_us and self.status == "requires_payment_method" and self.last_payment_error:
            return self.last_payment_error.words
        return ""


class Subject(_StripeModel):
    object: dict[str, Any]


class Event(_StripeModel):
    type: str
    data: Subject


def read_event(body: bytes) -> PaymentReport | None:
    """What an event says of a payment; None where it is about something else.

    An event about a refund knows that one alone, and one about a charge does not tell refunds that are on their way
    from those paid back, unless it lists them: such a report holds less than is true, and never more.
    """
    event = Event.model_validate_json(body)
    if event.type.startswith("payment_intent."):
        intent = Intent.model_validate(event.data.object)
        return intent.report(intent.refunds.data)
    if event.type.startswith("refund.") or event.type == "charge.refund.updated":
        return _of_refund(Refund.model_validate(event.data.object))
    if event.type == "charge.refunded":
        return _of_charge(Charge.model_validate(event.data.object))
    return None


def _of_refund(refund: Refund) -> PaymentReport | None:
    if refund.payment_intent is None:
        return None
    return PaymentReport(
        payment_id=None,
        provider_id=refund.payment_intent,
        currency=refund.currency.upper(),
        refunded=refund.paid_back,
        refunds=(refund.report(),),
    )


def _of_charge(charge: Charge) -> PaymentReport | None:
    if charge.payment_intent is None:
        return None
    currency = charge.currency.upper()
    refunds = charge.refunds.data if charge.refunds else ()
    captured = from_minor_units(charge.amount_captured, currency)
    return PaymentReport(
        payment_id=own_id(charge.metadata, PAYMENT_ID),
        provider_id=charge.payment_intent,
        currency=currency,
        authorized=captured,
        captured=captured,
        refunded=sum((refund.paid_back for refund in refunds), Decimal(0)),
        refunds=tuple(refund.report() for refund in refunds),
    )


def own_id(metadata: Metadata | None, name: str) -> UUID | None:
    """An id that we put there; None where there is none of ours."""
    try:
        return UUID((metadata or {}).get(name, ""))
    except ValueError:
        return None

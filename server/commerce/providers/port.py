"""What commerce needs of a payment provider."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Protocol
from uuid import UUID

from storage.commerce.records import Price, RefundState


class ProviderUnavailable(Exception):
    """The provider does not answer, or not now: whether the request was carried out is unknown; repeat it under the
    same key."""


@dataclass(frozen=True, slots=True)
class RefundReport:
    """One refund, as the provider records it."""

    refund_id: UUID | None
    """Our id of it; None where it was made on the provider's side."""
    provider_id: str
    amount: Decimal
    state: RefundState


@dataclass(frozen=True, slots=True)
class PaymentReport:
    """One payment, as the provider records it at some moment: totals, not steps.

    Since totals only grow, reports that come late, twice or out of order lead to the same end.
    """

    payment_id: UUID | None
    """Our id of it; None where the provider does not know it."""
    provider_id: str
    currency: str
    authorized: Decimal = Decimal(0)
    captured: Decimal = Decimal(0)
    refunded: Decimal = Decimal(0)
    """What was paid back; a refund that is still on its way does not count."""
    failure: str = ""
    """Why the provider refused the payment; empty where it did not."""
    voided: bool = False
    client_secret: str = ""
    """What the customer's browser needs to confirm the payment; empty where nothing is to be confirmed."""
    refunds: tuple[RefundReport, ...] = ()


class PaymentProvider(Protocol):
    """A provider; each call that changes something carries a key, under which it is done once however often it is
    requested.

    What the provider refuses is reported, and not raised. Raises ProviderUnavailable.
    """

    @property
    def name(self) -> str: ...

    def payable(self, amount: Price) -> bool:
        """Whether its currency can express the amount, as the provider counts: Stripe's yen has no half."""

    async def authorize(self, payment_id: UUID, amount: Price, method: str, key: str) -> PaymentReport:
        """Secures the money, without taking it; `method` is the provider's token of what to pay with."""

    async def capture(self, provider_id: str, amount: Price, key: str) -> PaymentReport:
        """Takes the money that was secured; what was taken, voided or failed before is reported as it is."""

    async def void(self, provider_id: str, key: str) -> PaymentReport:
        """Releases the money that was secured; what was taken before is reported as it is."""

    async def refund(self, provider_id: str, refund_id: UUID, amount: Price, key: str) -> PaymentReport:
        """Pays back; the report has the refund by its id, failed where the provider refuses it."""

    async def find(self, provider_id: str) -> PaymentReport:
        """The state of the payment."""

    def read_event(self, body: bytes) -> PaymentReport | None:
        """The content of a webhook whose signature was checked; None where it is about something else.

        Raises ValueError where it cannot be read.
        """

    def ledger(self) -> AsyncIterator[PaymentReport]:
        """All payments, in the provider's order, to be compared with ours."""

    async def close(self) -> None: ...


class ProviderKeyRefused(ProviderUnavailable):
    """The provider does not take our key, and did nothing: the request goes through once the setting is fixed."""


class ProviderMisunderstood(Exception):
    """The provider answered what cannot come of a right question: a defect of the adapter."""

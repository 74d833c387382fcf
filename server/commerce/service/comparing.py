from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from server.commerce.providers.port import PaymentProvider, PaymentReport
from storage.commerce.store import CommerceStore

_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class Comparison:
    """How a provider's ledger and ours agree."""

    compared: int
    differing: Sequence[str]
    """The provider's ids of payments of which the two tell other sums, and what each tells."""


class Comparing:
    """Holds a provider's ledger against ours."""

    def __init__(self, store: CommerceStore) -> None:
        self._store = store

    async def compare(self, provider: PaymentProvider) -> Comparison:
        """Reads the provider's whole ledger; raises ProviderUnavailable.

        Money moves meanwhile: what differs is asked for once more, on both sides, before it counts.
        """
        compared = taken = 0
        differing: list[str] = []
        page: list[PaymentReport] = []
        async for report in provider.ledger():
            page.append(report)
            compared += 1
            taken += report.captured > 0
            if len(page) == _AT_ONCE:
                differing += await self._differing(provider, page)
                page = []
        differing += await self._differing(provider, page)
        async with self._store.reading() as reading:
            ours = await reading.payments.count_taken(provider.name)
        if ours > taken and not differing:
            differing.append(f"{ours} payments took money by our books, and {taken} by the provider's")
        return Comparison(compared, differing)

    async def _differing(self, provider: PaymentProvider, reports: Sequence[PaymentReport]) -> Sequence[str]:
        ours = await self._totals(provider, [report.provider_id for report in reports])
        suspects = [report.provider_id for report in reports if ours.get(report.provider_id) != _totals_of(report)]
        again = [await provider.find(provider_id) for provider_id in suspects]
        ours = await self._totals(provider, suspects)
        return [
            f"{report.provider_id}: taken and paid back {_text(ours.get(report.provider_id))} by our books,"
            f" {_text(_totals_of(report))} by the provider's"
            for report in again
            if ours.get(report.provider_id) != _totals_of(report)
        ]

    async def _totals(
        self, provider: PaymentProvider, provider_ids: Sequence[str]
    ) -> Mapping[str, tuple[Decimal, Decimal]]:
        async with self._store.reading() as reading:
            return await reading.payments.totals_of(provider.name, provider_ids)


def _totals_of(report: PaymentReport) -> tuple[Decimal, Decimal]:
    return (report.captured, report.refunded)


def _text(totals: tuple[Decimal, Decimal] | None) -> str:
    return f"{totals[0].normalize():f} and {totals[1].normalize():f}" if totals else "nothing"

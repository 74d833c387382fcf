"""Amounts as Stripe counts them: whole numbers of a currency's smallest unit (docs.stripe.com/currencies)."""

from decimal import Decimal

from storage.commerce.records import Price

_NO_DECIMALS = frozenset(
    {"BIF", "CLP", "DJF", "GNF", "JPY", "KMF", "KRW", "MGA", "PYG", "RWF", "VND", "VUV", "XAF", "XOF", "XPF"}
)
_WHOLE_IN_HUNDREDTHS = frozenset({"ISK", "UGX"})
"""They have no decimals any more, and are counted in hundredths as before: 5 is 500, and 501 is refused."""
_THOUSANDTHS = frozenset({"BHD", "JOD", "KWD", "OMR", "TND"})
"""The last digit must be 0, for the sake of card networks that know two decimals."""


def minor_units(price: Price) -> int | None:
    """How Stripe counts an amount; None where the currency cannot express it, such as 0.001 GBP."""
    units = price.amount.scaleb(_decimals(price.currency))
    step = 100 if price.currency in _WHOLE_IN_HUNDREDTHS else 10 if price.currency in _THOUSANDTHS else 1
    return int(units) if units % step == 0 else None


def from_minor_units(units: int, currency: str) -> Decimal:
    return Decimal(units).scaleb(-_decimals(currency))


def _decimals(currency: str) -> int:
    if currency in _NO_DECIMALS:
        return 0
    return 3 if currency in _THOUSANDTHS else 2

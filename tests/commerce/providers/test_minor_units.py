"""Amounts in Stripe's units."""

from decimal import Decimal

import pytest

from server.commerce.providers.minor_units import from_minor_units, minor_units
from storage.commerce.records import Price


@pytest.mark.parametrize(
    ("amount", "currency", "units"),
    [
        ("12.55", "GBP", 1255),
        ("12.550000000", "GBP", 1255),
        ("0.001", "GBP", None),
        ("500", "JPY", 500),
        ("500.5", "JPY", None),
        ("5.12", "KWD", 5120),
        ("5.124", "KWD", None),
        ("5", "UGX", 500),
        ("5.01", "UGX", None),
        ("5", "ISK", 500),
        ("5", "HUF", 500),
        ("9999999999999999999.99", "GBP", 999999999999999999999),
    ],
)
def test_an_amount_is_converted_exactly_or_not_at_all(amount: str, currency: str, units: int | None) -> None:
    """To a currency's smallest unit as Stripe's page defines it, with its exceptions, and back."""
    assert minor_units(Price(Decimal(amount), currency)) == units
    if units is not None:
        assert from_minor_units(units, currency) == Decimal(amount)

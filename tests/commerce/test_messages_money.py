"""Money is converted between the wire and exact decimals without loss."""

from decimal import Decimal
from fractions import Fraction

from google.type import money_pb2
from hypothesis import example, given
from hypothesis import strategies as st

from server.commerce import messages
from tests.commerce.goods import pounds
from tests.commerce.values import LAW

UNITS = st.integers(0, 10**9)
NANOS = st.integers(0, 999_999_999)


def told(amount: Decimal, currency: str) -> money_pb2.Money:
    """As it is sent."""
    return money_pb2.Money(**messages.money(amount, currency))


@LAW
@given(UNITS, NANOS)
@example(0, 1)
@example(0, 1_000_000)
@example(10**9, 0)
@example(999_999_999, 999_999_999)
def test_a_price_comes_back_as_it_was_sent(units: int, nanos: int) -> None:
    """Up to 1,000,000,000 units and to the ninth decimal."""
    sent = pounds(units, nanos)
    kept = messages.price(sent)
    assert Fraction(kept.amount) == units + Fraction(nanos, 10**9)
    assert told(kept.amount, kept.currency) == sent


@LAW
@given(st.integers(0, 2 * 10**18), NANOS)
@example(2 * 10**18, 0)
@example(2 * 10**18 - 1, 999_999_999)
@example(1_999_999_998_246_913_578, 1)
def test_a_total_is_exact_to_the_last_digit(units: int, nanos: int) -> None:
    """Up to the largest order that can be placed."""
    total = told(Decimal(f"{units}.{nanos:09d}"), "GBP")
    assert (total.units, total.nanos) == (units, nanos)


@LAW
@given(UNITS, NANOS, st.integers(1, 10**6))
@example(999_999_999, 999_999_999, 10**6)
def test_a_lines_amount_is_exact(units: int, nanos: int, quantity: int) -> None:
    """Quantity times unit price, compared with a computation in whole nanos."""
    amount = told(quantity * messages.price(pounds(units, nanos)).amount, "GBP")
    assert amount.units * 10**9 + amount.nanos == quantity * (units * 10**9 + nanos)


def test_trailing_zeros_of_the_store_are_not_sent() -> None:
    """The store has nine decimals for every amount."""
    assert told(Decimal("0.001000000"), "GBP") == pounds(0, 1_000_000)
    assert told(Decimal("2E+3"), "GBP") == pounds(2000)
    assert told(Decimal("0E-9"), "JPY") == money_pb2.Money(currency_code="JPY")

"""Estimates are as close as the contract says."""

import hashlib
from collections import Counter
from decimal import Decimal
from math import ceil, log

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.events.rules.sketches import REGISTERS, STANDARD_ERROR, distinct_estimate, percentile_estimate
from storage.events.measures import BIN_SHIFT, GAMMA, VALUE_BITS
from tests.fixtures.examples import examples


def registers_of(number: int, seed: int) -> Counter[int]:
    """How many registers have each value after so many distinct values, as PostgreSQL fills them."""
    registers = [0] * REGISTERS
    for place in range(number):
        key = int.from_bytes(hashlib.sha256(f"{seed} {place}".encode()).digest()[:8])
        value = VALUE_BITS + 1 - (key & ((1 << VALUE_BITS) - 1)).bit_length()
        registers[key >> VALUE_BITS] = max(registers[key >> VALUE_BITS], value)
    return Counter(each for each in registers if each)


@pytest.mark.parametrize("number", [0, 1, 100, 5_000, 20_000, 40_000, 100_000])
def test_the_number_of_distinct_values_is_within_four_standard_errors(number: int) -> None:
    """For few values as for many, without a jump where one formula would end and another one begin."""
    estimate = distinct_estimate(registers_of(number, seed=1))
    assert abs(estimate - number) <= 4 * STANDARD_ERROR * number


@given(
    number=st.decimals(min_value=Decimal("1e-290"), max_value=Decimal("1e290"), allow_nan=False, allow_infinity=False),
    negative=st.booleans(),
)
@examples(300)
def test_a_percentile_is_within_one_percent_of_the_number_that_it_stands_for(number: Decimal, negative: bool) -> None:
    """Whatever its size and its sign, where it is neither the least nor the greatest."""
    mark = BIN_SHIFT + ceil(log(float(number)) / log(GAMMA))
    bound = Decimal("1e300")
    estimate = percentile_estimate(-mark if negative else mark, -bound, bound)
    exact = -number if negative else number
    assert abs(estimate - exact) <= number * Decimal("0.01000001")


def test_a_percentile_is_none_outside_of_the_numbers() -> None:
    """It is cut to the least and the greatest one, so that of one number it is exact; 0 is 0."""
    mark = BIN_SHIFT + ceil(log(10) / log(GAMMA))
    assert percentile_estimate(mark, Decimal(10), Decimal(10)) == 10
    assert percentile_estimate(0, Decimal(-1), Decimal(1)) == 0

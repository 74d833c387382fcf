"""Estimates where an exact answer would need all values at once: HyperLogLog for distinct values, DDSketch for
percentiles.

PostgreSQL fills both; here is what they say. They are written out since the libraries that there are for them need
values one by one in this process, or numpy (57 MB).
"""

from collections.abc import Mapping
from decimal import Decimal
from math import inf, log, sqrt

from storage.events.measures import BIN_SHIFT, GAMMA, REGISTER_BITS, VALUE_BITS

REGISTERS = 1 << REGISTER_BITS
STANDARD_ERROR = 1.04 / sqrt(REGISTERS)
"""Relative, of an estimate of distinct values: 0.81 %."""


def distinct_estimate(registers: Mapping[int, int]) -> int:
    """How many distinct values there were, by how many registers have each value, all but those that are 0.

    By Ertl's improved estimator (arXiv 1702.01284, algorithm 6), which needs no correction by tables.
    """
    counts = [0] * (VALUE_BITS + 2)
    for value, number in registers.items():
        counts[value] = number
    counts[0] = REGISTERS - sum(counts[1:])
    z = REGISTERS * _tau(1 - counts[VALUE_BITS + 1] / REGISTERS)
    for number in reversed(counts[1 : VALUE_BITS + 1]):
        z = 0.5 * (z + number)
    z += REGISTERS * _sigma(counts[0] / REGISTERS)
    return round(REGISTERS * REGISTERS / (2 * log(2)) / z)


def _sigma(share: float) -> float:
    if share == 1:
        return inf
    y, z = 1.0, share
    while True:
        share *= share
        before, z, y = z, z + share * y, y + y
        if z == before:
            return z


def _tau(share: float) -> float:
    if share in (0, 1):
        return 0.0
    y, z = 1.0, 1 - share
    while True:
        share = sqrt(share)
        y *= 0.5
        before, z = z, z - (1 - share) ** 2 * y
        if z == before:
            return z / 3


def percentile_estimate(mark: int, low: Decimal, high: Decimal) -> Decimal:
    """The number that a bin stands for, which is none outside of the least and the greatest one."""
    if mark == 0:
        number = Decimal(0)
    else:
        exponent = abs(mark) - BIN_SHIFT
        number = Decimal(repr(2 * GAMMA**exponent / (GAMMA + 1)))
        number = number if mark > 0 else -number
    return min(max(number, low), high)

"""Estimates where an exact answer would need all values at once: HyperLogLog for distinct values, DDSketch for
percentiles.

PostgreSQL fills both; here is what they say. They are written out since the libraries that there are for them need
values one by one in this process, or numpy (57 MB).
"""

from collections.abc import Mapping
from decimal import Decimal
from math import inf, log, sqrt

REGISTER_BITS = 14
"""Of a value's hash: by which register it counts."""
VALUE_BITS = 64 - REGISTER_BITS
REGISTERS = 1 << REGISTER_BITS
STANDARD_ERROR = 1.04 / sqrt(REGISTERS)
"""Relative, of an estimate: 0.81 %."""
RELATIVE_ERROR = 0.01
"""Of a percentile."""
GAMMA = (1 + RELATIVE_ERROR) / (1 - RELATIVE_ERROR)
BIN_SHIFT = 100_000
"""By how much a bin is shifted away from 0, so that its sign is that of its numbers; 0 is the bin of 0."""


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

"""The picture's figures: how many calls a second each system answers, and their latency."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Self, TypeAlias

from bench.row import Row

BACKROOM = "Backroom"
USUAL = "FastAPI, SQLAlchemy, asyncpg"
PGBENCH = "pgbench"
ECHO = "bare gRPC echo"
SYSTEMS = (BACKROOM, USUAL, PGBENCH, ECHO)
"""In the picture's order."""

PLACE_ORDER, GET_ORDER, GET_PRODUCT = "PlaceOrder", "GetOrder", "GetProduct"
METHODS = (PLACE_ORDER, GET_ORDER, GET_PRODUCT)


@dataclass(frozen=True, slots=True)
class Throughput:
    """A system's rate for one method, median over the rounds."""

    method: str
    system: str
    per_second: float


@dataclass(frozen=True, slots=True)
class Latency:
    """The latency of an order of one hot product with this many callers, medians over the rounds."""

    system: str
    callers: int
    median_ms: float
    p99_ms: float


Finding: TypeAlias = Row | Throughput | Latency
"""The result of a measurement."""


@dataclass(frozen=True, slots=True)
class Figures:
    """All figures of the picture, of one run."""

    occasion: str
    """When and for how long it was measured, in a sentence."""
    machine: str
    """The machine that it was measured on, in a sentence."""
    throughput: Sequence[Throughput]
    latency: Sequence[Latency]

    def json(self) -> str:
        return json.dumps(asdict(self), indent=2) + "\n"

    @classmethod
    def of(cls, text: str) -> Self:
        """Parses what `json` wrote."""
        kept = json.loads(text)
        return cls(
            kept["occasion"],
            kept["machine"],
            [Throughput(**each) for each in kept["throughput"]],
            [Latency(**each) for each in kept["latency"]],
        )

    def per_second(self, method: str, system: str) -> float | None:
        """None if it was not measured, as pgbench's when PostgreSQL is installed without it."""
        for each in self.throughput:
            if (each.method, each.system) == (method, system):
                return each.per_second
        return None

    def curve(self, system: str) -> Sequence[Latency]:
        """By the number of callers."""
        return sorted((each for each in self.latency if each.system == system), key=lambda each: each.callers)

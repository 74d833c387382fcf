"""What the picture shows: how many calls a second each system answers, and how long a caller of it waits."""

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
"""In the order in which the picture shows them."""

PLACE_ORDER, GET_ORDER, GET_PRODUCT = "PlaceOrder", "GetOrder", "GetProduct"
METHODS = (PLACE_ORDER, GET_ORDER, GET_PRODUCT)


@dataclass(frozen=True, slots=True)
class Throughput:
    """Calls of one method that a system answers, median over the rounds."""

    method: str
    system: str
    per_second: float


@dataclass(frozen=True, slots=True)
class Latency:
    """What one of so many callers waits for an order of one hot product, medians over the rounds."""

    system: str
    callers: int
    median_ms: float
    p99_ms: float


Finding: TypeAlias = Row | Throughput | Latency
"""What a measurement comes to."""


@dataclass(frozen=True, slots=True)
class Figures:
    """All that the picture shows, of one run."""

    occasion: str
    """When and for how long it was measured, in a sentence."""
    machine: str
    """What it was measured on, in a sentence."""
    throughput: Sequence[Throughput]
    latency: Sequence[Latency]

    def json(self) -> str:
        return json.dumps(asdict(self), indent=2) + "\n"

    @classmethod
    def of(cls, text: str) -> Self:
        """From what `json` wrote."""
        kept = json.loads(text)
        return cls(
            kept["occasion"],
            kept["machine"],
            [Throughput(**each) for each in kept["throughput"]],
            [Latency(**each) for each in kept["latency"]],
        )

    def per_second(self, method: str, system: str) -> float | None:
        """None where it was not measured, as pgbench's where PostgreSQL comes without it."""
        for each in self.throughput:
            if (each.method, each.system) == (method, system):
                return each.per_second
        return None

    def curve(self, system: str) -> Sequence[Latency]:
        """By the number of callers."""
        return sorted((each for each in self.latency if each.system == system), key=lambda each: each.callers)

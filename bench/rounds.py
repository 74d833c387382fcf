"""Rounds: the compared systems take turns, so that other load on the machine affects all of them."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from time import process_time
from typing import Any, Generic, TypeVar

from bench.setting import Bench
from load.cpu import cpu_of
from load.loops import Call, closed_loop
from load.sample import Sample

Figure = TypeVar("Figure")

SERVER, POSTGRES, LOAD = "server", "postgres", "load"
"""The meters of each window."""


class CallsFailed(Exception):
    """Calls were refused or failed, or none was answered, so the speed is not known; the text counts them."""


@dataclass(frozen=True, slots=True)
class Side(Generic[Figure]):
    """One of the compared systems, and its result in each round."""

    name: str
    measure: Callable[[], Awaitable[Figure]]
    figures: list[Figure] = field(default_factory=list)


async def rounds(bench: Bench, *sides: Side[Any], count: int | None = None) -> None:
    """Measures each side once per round; every second round goes through the sides in reverse.

    So none of them always follows another one's writes. Each starts once PostgreSQL is idle.
    The bench decides the number of rounds, unless `count` is given.
    """
    order = list(sides)
    count = count or bench.rounds
    for number in range(count):
        bench.say(f"  round {number + 1} of {count}: {', '.join(side.name for side in order)}")
        for side in order:
            await bench.rest()
            side.figures.append(await side.measure())
        order.reverse()


async def window(bench: Bench, call: Call, callers: int, pid: int) -> Sample:
    """A closed loop with this many callers, with the CPU of a server's process, of PostgreSQL and of this process.

    Each caller is answered once before, so that opening connections takes no time of the window.
    """
    await asyncio.gather(*(call(caller) for caller in range(callers)))
    metered = meters(bench, pid)
    return whole(await closed_loop(call, callers=callers, seconds=bench.seconds, warm_up=bench.warm_up, meters=metered))


def meters(bench: Bench, pid: int) -> dict[str, Callable[[], float]]:
    return {SERVER: cpu_of(pid), POSTGRES: bench.postgres.cpu, LOAD: process_time}


def whole(sample: Sample) -> Sample:
    """The sample, if every call in it succeeded; raises CallsFailed."""
    if sample.failures or sample.refusals or not sample.latencies:
        failures = "; ".join(f"{count} of {failure}" for failure, count in sample.failures.items())
        raise CallsFailed(f"{len(sample.latencies)} answered, {len(sample.refusals)} refused, failed: {failures or 0}")
    return sample


def pairs(ours: Side[Sample], other: Side[Sample], figure: Callable[[Sample], float]) -> Sequence[tuple[float, float]]:
    """One figure of both, by round."""
    return [(figure(one), figure(peer)) for one, peer in zip(ours.figures, other.figures, strict=True)]


def rate(sample: Sample) -> float:
    """Answered calls a second."""
    return sample.rate


def server_cpu(sample: Sample) -> float:
    """Milliseconds of the server's CPU per answered call."""
    return sample.cost_of(SERVER) * 1e3


def postgres_cpu(sample: Sample) -> float:
    """Milliseconds of PostgreSQL's CPU per answered call, in all its processes."""
    return sample.cost_of(POSTGRES) * 1e3


def load_share(sample: Sample) -> float:
    """How much of one core the load generator took, in percent."""
    return sample.cost[LOAD] / sample.seconds * 100


def median_latency(sample: Sample) -> float:
    """The median of the latencies, in milliseconds."""
    return sample.percentile(0.5) * 1e3


def slowest_hundredth(sample: Sample) -> float:
    """The 99th percentile of the latencies, in milliseconds."""
    return sample.percentile(0.99) * 1e3

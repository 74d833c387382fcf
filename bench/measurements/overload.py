"""More calls than the server can carry: what it still answers, how it refuses the rest, and whether health responds.

First the peak is measured, with a number of callers that the server can carry. Then calls start by a timetable, at
multiples of that rate, whatever happens to earlier ones. Real callers are rarely that stubborn: the last run has ten
times the callers, each of which waits as long as a refusal says.
"""

import asyncio
import random
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from math import ceil
from time import perf_counter

from bench.measurements.sides import Ours, our_shop
from bench.probe import TIMEOUT_SECONDS
from bench.rounds import LOAD, CallsFailed, meters, whole
from bench.row import LIMIT, Row, row
from bench.running import Running, running
from bench.setting import Bench
from load.loops import NOT_SENT, Call, closed_loop, open_loop
from load.sample import Refused, Sample

_CALLERS = 128
_WARM_UP = 1.0
_TIMES = (2, 5, 10)
_GOODPUT = 0.9
"""As a share of the peak."""
_REFUSAL_MILLISECONDS = 50.0
"""In milliseconds."""
_HEALTH_SECONDS = 1.0

_MAX_LOAD = 0.7
"""How much of a core the load generator may use: above that, its own delays would count as the server's."""


@dataclass(frozen=True, slots=True)
class _Strain:
    """The result of one level of overload."""

    name: str
    wanted: float
    """Calls a second; 0 for a closed loop."""
    peak: Sample
    sample: Sample
    slowest_health: float
    """In seconds."""

    @property
    def ended(self) -> float:
        """The rate of calls that were made and ended, with any outcome."""
        return self._ended / self.sample.seconds

    @property
    def refusal(self) -> float:
        """The 99th percentile, in milliseconds; the whole window if calls ended only by failing."""
        refusals = self.sample.refusals
        if not refusals:
            return self.sample.seconds * 1e3
        return refusals[ceil(0.99 * len(refusals)) - 1] * 1e3

    @property
    def answered(self) -> float:
        """The share of the calls, in percent, that succeeded or were refused with RetryInfo."""
        answered = len(self.sample.latencies) + len(self.sample.refusals) - self.sample.unhinted
        return 100 * answered / self._ended

    @property
    def _ended(self) -> int:
        failed = sum(count for why, count in self.sample.failures.items() if why != NOT_SENT)
        return len(self.sample.latencies) + len(self.sample.refusals) + failed


async def overload(bench: Bench) -> list[Row]:
    """Orders of one product, at multiples of the server's peak."""
    times = _TIMES if bench.long else (_TIMES[0], _TIMES[-1])
    async with our_shop(bench, "overload", products=1) as ours:
        strains = [await _by_timetable(bench, ours, factor) for factor in times]
        strains.append(await _by_crowd(bench, ours, _TIMES[-1]))
    return [each for strain in strains for each in _rows(strain)]


async def _by_timetable(bench: Bench, ours: Ours, factor: int) -> _Strain:
    name, peak = f"{factor} times the load it can carry", await _peak(bench, ours)
    wanted = factor * peak.rate
    rate = min(wanted, _MAX_LOAD / peak.cost_of(LOAD))
    bench.say(f"  {name}: {rate:.0f} calls/s of {wanted:.0f}, which are {factor} times {peak.rate:.0f}")
    async with _health_of(ours) as health:
        metered = meters(bench, ours.server.pid)
        sample = await open_loop(
            ours.shop.place_hot, rate=rate, seconds=_seconds(bench), warm_up=_WARM_UP, meters=metered
        )
    return _Strain(name, wanted, peak, _some(sample), max(health))


async def _by_crowd(bench: Bench, ours: Ours, factor: int) -> _Strain:
    name, peak = f"{factor} times the callers, who wait as long as refusals say", await _peak(bench, ours)
    bench.say(f"  {name}: {factor * _CALLERS}, against {peak.rate:.0f} calls/s")
    patient = _Patient(ours.shop.place_hot, _WARM_UP + _seconds(bench))
    async with _health_of(ours) as health:
        metered = meters(bench, ours.server.pid)
        sample = await closed_loop(
            patient, callers=factor * _CALLERS, seconds=_seconds(bench), warm_up=_WARM_UP, meters=metered
        )
    return _Strain(name, 0, peak, _some(patient.with_refusals(sample)), max(health))


async def _peak(bench: Bench, ours: Ours) -> Sample:
    """Measured right before the runs compared with it, since the machine's speed varies."""
    await bench.rest()
    metered = meters(bench, ours.server.pid)
    return whole(
        await closed_loop(
            ours.shop.place_hot, callers=_CALLERS, seconds=bench.seconds, warm_up=bench.warm_up, meters=metered
        )
    )


def _seconds(bench: Bench) -> float:
    return 10.0 if bench.long else 3.0


def _some(sample: Sample) -> Sample:
    if not sample.latencies:
        raise CallsFailed(f"no call was answered well: {len(sample.refusals)} refused, failed: {sample.failures}")
    return sample


class _Patient:
    """A call that is retried after a refusal, once its caller has waited for one to two times the stated time."""

    def __init__(self, call: Call, seconds: float) -> None:
        """No caller waits longer than this many seconds from now."""
        self._call = call
        self._until = perf_counter() + seconds
        self._refusals: list[tuple[float, float | None]] = []

    async def __call__(self, caller: int) -> None:
        while True:
            began = perf_counter()
            try:
                return await self._call(caller)
            except Refused as refused:
                now = perf_counter()
                self._refusals.append((now - began, refused.retry_after))
                # Calls that were refused together must not return together.
                wait = (refused.retry_after or 0) * random.uniform(1, 2)  # noqa: S311 - no secret hangs on it
                await asyncio.sleep(min(wait, self._until - now))
                if perf_counter() >= self._until:
                    raise

    def with_refusals(self, sample: Sample) -> Sample:
        """The sample with the refusals, including those of the warm-up."""
        took = sorted(seconds for seconds, _ in self._refusals)
        unhinted = sum(wait is None for _, wait in self._refusals)
        return Sample(sample.seconds, sample.latencies, took, unhinted, sample.failures, sample.cost)


def _rows(strain: _Strain) -> Sequence[Row]:
    measured = f"PlaceOrder at {strain.name}"
    rows = [
        row(
            f"{measured}: goodput",
            "orders/s",
            [(strain.sample.rate, strain.peak.rate)],
            against="its own peak",
            goal=_GOODPUT,
        ),
        _limited(f"{measured}: 99th percentile of the refusals' latency", "ms", strain.refusal, _REFUSAL_MILLISECONDS),
        row(
            f"{measured}: calls answered, or refused with RetryInfo",
            "%",
            [(strain.answered, 100.0)],
            against=LIMIT,
            goal=1,
        ),
        _limited(f"{measured}: slowest health check", "s", strain.slowest_health, _HEALTH_SECONDS),
    ]
    if strain.wanted:
        ended = [(strain.ended, strain.wanted)]
        rows.append(row(f"{measured}: calls that ended", "calls/s", ended, against="those wanted", goal=None))
    return rows


def _limited(measured: str, unit: str, figure: float, limit: float) -> Row:
    return row(measured, unit, [(figure, limit)], against=LIMIT, goal=1, lower_is_better=True)


@asynccontextmanager
async def _health_of(ours: Ours) -> AsyncIterator[list[float]]:
    """Fills the list, at the end of the block, with the duration in seconds of each check that started within it.

    A separate process makes the checks: here, they would wait for the load generator.
    """
    taken: list[float] = []
    command = (sys.executable, "-m", "bench.probe", ours.server.address)
    with running(command, ready=lambda log: log.read_bytes()) as probe:
        yield taken
        await asyncio.to_thread(_stopped, probe)
        taken += map(float, probe.log.read_text().split())


def _stopped(probe: Running) -> None:
    probe.process.terminate()
    probe.process.wait(2 * TIMEOUT_SECONDS)

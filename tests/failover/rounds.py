"""Rounds of each fault, and their results."""

import asyncio
import statistics
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from tests.failover.checker import Verdict
from tests.failover.faults import Fault
from tests.failover.waiting import now
from tests.failover.world import World

_BEFORE_SECONDS = 1.5
_AFTER_SECONDS = 3.0
"""Long enough for the late watcher to receive more changes than it missed."""
_HEALED_SECONDS = 1.0
_GIVES_UP_SECONDS = 60.0
_BACK_WITHIN_SECONDS = 20.0


@dataclass
class Result:
    """One round."""

    gap: float | None
    noticed: float | None
    """After how many seconds the slowest server became not ready; None if one never did."""
    ready: float | None
    """The longest time between a server's first acknowledged order and its becoming ready."""
    lines: int
    """Above INFO, of the program that logged the most."""
    foreign: list[str]
    """Those that are a library's."""
    failed_calls: list[str]
    text: list[str]
    """All lines above INFO, for a person."""
    acknowledged: int = 0
    verdict: Verdict = field(default_factory=Verdict)
    seconds: float = 0.0


async def played(fault: Fault, world: World) -> Result:
    """One round: the callers start, the fault happens, everything is healed, and the guarantees are checked."""
    began, acknowledged = time.monotonic(), world.book.acknowledged_count
    crowd = world.begin()
    try:
        if fault.crowd:
            crowd.start()
        struck = await _struck(fault, world)
        await crowd.leave(_GIVES_UP_SECONDS)
    finally:
        await crowd.close()
    await world.settle()
    verdict = await world.verdict()
    result = _measured(world, struck)
    result.verdict = verdict
    result.acknowledged = world.book.acknowledged_count - acknowledged
    result.seconds = time.monotonic() - began
    return result


async def _struck(fault: Fault, world: World) -> float:
    """Causes the fault and heals everything, under load; returns when the fault happened."""
    await asyncio.sleep(_BEFORE_SECONDS)
    if not fault.watched:
        await world.late.stop()
    struck = now()
    await fault.act(world)
    if fault.crowd and world.back_at is not None:
        await world.writes(_BACK_WITHIN_SECONDS)
    await asyncio.sleep(_AFTER_SECONDS)
    await world.cluster.heal()
    await world.late.start()
    await asyncio.sleep(_HEALED_SECONDS)
    return struck


def broken_off(error: Exception) -> Result:
    """A round that did not end normally, so nothing is known of its result."""
    said = f"the round broke off: {type(error).__name__}: {error}"
    return Result(None, None, None, 0, [], [], [], verdict=Verdict(unknown=[said]))


def _measured(world: World, struck: float) -> Result:
    back = world.back_at if world.back_at is not None else struck
    gaps = world.gaps()
    lines = world.lines(struck)
    return Result(
        gap=_slowest(gaps),
        noticed=_slowest([each.first(False, struck) for each in world.readiness]),
        ready=_slowest([_off(each.first(True, back), gap) for each, gap in zip(world.readiness, gaps, strict=True)]),
        lines=max(len(each) for each in lines),
        foreign=[line.text for each in lines for line in each if not line.ours],
        failed_calls=world.failed_calls,
        text=[line.text for each in lines for line in each],
    )


def _off(ready: float | None, gap: float | None) -> float | None:
    """How much too late, or too early, readiness was; from the end of the fault if nothing is measured."""
    return None if ready is None else abs(ready - (gap or 0.0))


def _slowest(seconds: Sequence[float | None]) -> float | None:
    known = [each for each in seconds if each is not None]
    return max(known) if len(known) == len(seconds) else None


def broken(fault: Fault, result: Result) -> Iterator[str]:
    """The limits that a round did not meet."""
    for name, found in vars(result.verdict).items():
        if found:
            yield f"{len(found)} {name}: {found[0]}"
    if result.failed_calls:
        said, count = Counter(result.failed_calls).most_common(1)[0]
        yield f"{len(result.failed_calls)} calls failed, {count} of them with {said}"
    yield from _slow(fault, result)
    if fault.lines is not None and result.lines > fault.lines:
        yield f"{result.lines} lines above INFO of one server, and {fault.lines} are promised"
    if fault.lines is not None and result.foreign:
        yield f"{len(result.foreign)} lines of libraries: {result.foreign[0][:200]}"


def _slow(fault: Fault, result: Result) -> Iterator[str]:
    measured = (
        ("until writes were back", result.gap, fault.gap_seconds),
        ("until readiness said no", result.noticed, fault.ready_seconds),
        ("between writes and readiness that says yes", result.ready, fault.ready_seconds),
    )
    for what, seconds, limit in measured:
        if limit is not None and (seconds is None or seconds > limit):
            yield f"{what}: {_shown(seconds)}, and {limit:.0f} s are promised"


def _shown(seconds: float | None) -> str:
    return "never" if seconds is None else f"{seconds:.1f} s"


TITLES = (
    "fault",
    "rounds",
    "acknowledged",
    "lost",
    "doubled",
    "skipped",
    "gap of writes: median, most",
    "readiness: no after, yes off by",
    "lines",
)


def row(fault: Fault, results: Sequence[Result]) -> list[str]:
    """One line of the table."""

    def total(name: str) -> int:
        return sum(len(getattr(result.verdict, name)) for result in results)

    gaps = [result.gap for result in results]
    known = [gap for gap in gaps if gap is not None]
    gap = f"{statistics.median(known):.1f} s, {_shown(_slowest(gaps))}" if known else ""
    measured = fault.ready_seconds is not None
    said = [_shown(_slowest([getattr(each, name) for each in results])) for name in ("noticed", "ready")]
    return [
        fault.name,
        str(len(results)),
        f"{sum(result.acknowledged for result in results):,}",
        *(f"{total(name):,}" for name in ("lost", "doubled", "skipped")),
        gap,
        ", ".join(said) if measured else "",
        str(max(result.lines for result in results)),
    ]

"""Repeated calls during a measured window: as fast as callers get responses, or by a timetable."""

import asyncio
import itertools
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from time import perf_counter
from typing import TypeAlias

from load.cpu import Meter
from load.sample import Refused, Sample

Call: TypeAlias = Callable[[int], Awaitable[None]]
"""One call, by the number of its caller (closed loop) or its own (open loop).

It returns once the response was checked; it raises Refused, or anything else for a failure.
"""

NOT_SENT = "not sent"
"""The failure of a call of an open loop for which there was no room."""

_CONCURRENCY = 256
"""How many calls start before responses are processed again."""

_REST_SECONDS = 0.001
"""In seconds: the event loop's timers are no finer."""

_TOO_LATE_SECONDS = 1.0
"""In seconds: how late a call of an open loop may start."""

NO_METERS: Mapping[str, Meter] = {}


async def closed_loop(
    call: Call, *, callers: int, seconds: float, warm_up: float = 1.0, meters: Mapping[str, Meter] = NO_METERS
) -> Sample:
    """Each of these callers calls again as soon as it is answered, and finishes its last call after the window.

    Calls answered before the window, during the warm-up, do not count.
    """
    window = _Window(meters)

    async def calling(caller: int) -> None:
        while not window.closed:
            if not await window.watch(call, caller, perf_counter()):
                # A call that fails may do so immediately, and would let nothing else run.
                await asyncio.sleep(_REST_SECONDS)

    async with asyncio.TaskGroup() as tasks:
        for caller in range(callers):
            tasks.create_task(calling(caller))
        await window.measure(warm_up, seconds)
    return window.sample()


async def open_loop(
    call: Call,
    *,
    rate: float,
    seconds: float,
    warm_up: float = 1.0,
    meters: Mapping[str, Meter] = NO_METERS,
    max_under_way: int = 10_000,
) -> Sample:
    """Calls start by a timetable, `rate` a second, whatever happens to earlier ones.

    A call's latency counts from the time at which it should have started: a server that stalls also delays the calls
    behind it (coordinated omission). They start up to a millisecond late, which counts as well. A call that cannot
    start within a second of its time, or while `max_under_way` others are unanswered, is the failure "not sent".
    After the window the calls under way are waited for.
    """
    window = _Window(meters)
    async with asyncio.TaskGroup() as tasks:
        timetable = _Timetable(tasks, call, window, max_under_way)
        pacing = tasks.create_task(timetable.keep(rate))
        await window.measure(warm_up, seconds)
        pacing.cancel()
    return window.sample()


class _Timetable:
    """Starts calls at their times."""

    def __init__(self, tasks: asyncio.TaskGroup, call: Call, window: "_Window", max_under_way: int) -> None:
        self._tasks = tasks
        self._call = call
        self._window = window
        self._most = max_under_way
        self._under_way = 0

    async def keep(self, rate: float) -> None:
        """Runs until it is cancelled."""
        began = perf_counter()
        for number in itertools.count():
            due = began + number / rate
            if number % _CONCURRENCY == 0:
                await asyncio.sleep(0)
            while (late := perf_counter() - due) < 0:  # noqa: ASYNC110 - a timer may come early, and a call must not
                await asyncio.sleep(max(_REST_SECONDS, -late))
            if late > _TOO_LATE_SECONDS or self._under_way >= self._most:
                self._window.fail(NOT_SENT)
            else:
                self._under_way += 1
                self._tasks.create_task(self._make(number, due))

    async def _make(self, number: int, due: float) -> None:
        try:
            await self._window.watch(self._call, number, due)
        finally:
            self._under_way -= 1


class _Window:
    """Records the calls that end while it is open."""

    def __init__(self, meters: Mapping[str, Meter]) -> None:
        self._meters = meters
        self._open = False
        self.closed = False
        self._seconds = 0.0
        self._latencies: list[float] = []
        self._refusals: list[float] = []
        self._unhinted = 0
        self._failures: Counter[str] = Counter()
        self._cost: Mapping[str, float] = {}

    async def measure(self, warm_up: float, seconds: float) -> None:
        """Opens after the warm-up, and closes after this many seconds more."""
        await asyncio.sleep(warm_up)
        before = {name: meter() for name, meter in self._meters.items()}
        began = perf_counter()
        self._open = True
        await asyncio.sleep(seconds)
        self._open = False
        self._seconds = perf_counter() - began
        self._cost = {name: meter() - before[name] for name, meter in self._meters.items()}
        self.closed = True

    async def watch(self, call: Call, number: int, began: float) -> bool:
        """Makes a call, and records its outcome; returns whether it was answered, even with a refusal."""
        try:
            await call(number)
        except Refused as refused:
            if self._open:
                self._refusals.append(perf_counter() - began)
                self._unhinted += refused.retry_after is None
        except Exception as error:  # noqa: BLE001 - any failure of a call is counted by its name
            self.fail(f"{type(error).__name__}: {error}"[:100])
            return False
        else:
            if self._open:
                self._latencies.append(perf_counter() - began)
        return True

    def fail(self, why: str) -> None:
        if self._open:
            self._failures[why] += 1

    def sample(self) -> Sample:
        return Sample(
            self._seconds,
            sorted(self._latencies),
            sorted(self._refusals),
            self._unhinted,
            dict(self._failures),
            self._cost,
        )

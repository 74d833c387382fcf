import asyncio
from time import perf_counter, process_time

import pytest

from load.loops import NOT_SENT, closed_loop, open_loop
from load.sample import Refused


async def test_callers_call_again_once_they_are_answered() -> None:
    """Each by its own number, and never two concurrent calls of one caller."""
    under_way: set[int] = set()
    callers: set[int] = set()

    async def call(caller: int) -> None:
        assert caller not in under_way
        under_way.add(caller)
        callers.add(caller)
        await asyncio.sleep(0.01)
        under_way.remove(caller)

    seen = await closed_loop(call, callers=5, seconds=0.3, warm_up=0.0)
    assert callers == set(range(5))
    assert not under_way
    assert not seen.failures
    assert len(seen.latencies) >= 5
    assert min(seen.latencies) >= 0.005
    assert seen.latencies == sorted(seen.latencies)
    assert seen.rate == pytest.approx(len(seen.latencies) / seen.seconds)


async def test_calls_answered_in_the_warm_up_do_not_count() -> None:
    """Nor its failures, nor its CPU."""
    spent, began = 0.0, perf_counter()

    async def call(_caller: int) -> None:
        nonlocal spent
        cold = perf_counter() - began < 0.2
        spent += 100.0 if cold else 1.0
        await asyncio.sleep(0.005)
        if cold:
            raise Refused("UNAVAILABLE")

    seen = await closed_loop(call, callers=2, seconds=0.2, warm_up=0.8, meters={"work": lambda: spent})
    assert seen.latencies
    assert not seen.refusals
    # A call that starts in the window may end after it, or the other way round.
    assert seen.cost["work"] == pytest.approx(len(seen.latencies), abs=2)
    assert seen.seconds >= 0.19


async def test_refusals_and_failures_are_counted_separately() -> None:
    """A refusal has a latency of its own, and may have no hint; a failure is counted by its text."""

    async def call(caller: int) -> None:
        await asyncio.sleep(0.002)
        if caller == 0:
            raise Refused("RESOURCE_EXHAUSTED", 1.0)
        if caller == 1:
            raise Refused("RESOURCE_EXHAUSTED")
        if caller == 2:
            raise ValueError("wrong stock")

    seen = await closed_loop(call, callers=4, seconds=0.2, warm_up=0.0)
    assert 0 < seen.unhinted < len(seen.refusals)
    assert set(seen.failures) == {"ValueError: wrong stock"}
    assert seen.latencies


async def test_calls_that_fail_immediately_do_not_block_the_window() -> None:
    """On a broken connection each call fails without waiting for anything."""

    async def call(_caller: int) -> None:
        raise ConnectionError("gone")

    async with asyncio.timeout(10):
        seen = await closed_loop(call, callers=3, seconds=0.1, warm_up=0.0)
    assert set(seen.failures) == {"ConnectionError: gone"}


async def test_the_cost_is_the_meters_difference() -> None:
    """Whatever their values before."""
    readings = iter([7.0, 10.0])

    async def call(_caller: int) -> None:
        await asyncio.sleep(0.01)

    seen = await closed_loop(
        call, callers=1, seconds=0.1, warm_up=0.0, meters={"other": lambda: next(readings), "own": process_time}
    )
    assert seen.cost["other"] == 3.0
    assert seen.cost["own"] >= 0
    assert seen.cost_of("other") == pytest.approx(3.0 / len(seen.latencies))


async def test_an_open_loop_calls_by_its_timetable_whatever_the_responses_do() -> None:
    """Each call has a number of its own."""
    numbers: list[int] = []

    async def call(number: int) -> None:
        numbers.append(number)
        await asyncio.sleep(0.15)

    seen = await open_loop(call, rate=100, seconds=0.5, warm_up=0.2)
    assert numbers == list(range(len(numbers)))
    assert len(numbers) >= 60
    assert not seen.failures
    assert min(seen.latencies) >= 0.14


async def test_latency_counts_from_the_scheduled_time() -> None:
    """Calls delayed by a stall of the whole process are as late as their callers would have experienced."""
    stalled = False

    async def call(_number: int) -> None:
        nonlocal stalled
        await asyncio.sleep(0)
        if not stalled and perf_counter() - began > 0.1:
            stalled = True
            ends = perf_counter() + 0.2
            while perf_counter() < ends:
                pass

    began = perf_counter()
    seen = await open_loop(call, rate=200, seconds=0.6, warm_up=0.0)
    late = [latency for latency in seen.latencies if latency > 0.1]
    # The stall covers the times of 40 calls, half of which wait for half of it; a closed loop would have seen one.
    assert stalled
    assert len(late) >= 10


async def test_calls_without_room_were_not_sent() -> None:
    """They are failures: leaving them out would measure another rate."""
    at_once = most = 0

    async def call(_number: int) -> None:
        nonlocal at_once, most
        at_once += 1
        most = max(most, at_once)
        await asyncio.sleep(0.1)
        at_once -= 1

    seen = await open_loop(call, rate=500, seconds=0.4, warm_up=0.1, max_under_way=5)
    assert most == 5
    assert seen.failures[NOT_SENT] > 0
    assert len(seen.latencies) + seen.failures[NOT_SENT] == pytest.approx(500 * seen.seconds, rel=0.3)


async def test_calls_under_way_at_the_end_are_waited_for() -> None:
    """Otherwise their changes would be counted nowhere."""
    ended = 0

    async def call(_number: int) -> None:
        nonlocal ended
        await asyncio.sleep(0.3)
        ended += 1

    seen = await open_loop(call, rate=50, seconds=0.1, warm_up=0.0)
    assert not seen.latencies
    assert ended >= 5

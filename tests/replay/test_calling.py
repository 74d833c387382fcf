"""Asynchronous work, as a replay waits for it."""

import asyncio

from replay.calling import UNDER_WAY, Calls, Step
from tests.replay.watched import Steps


async def test_no_more_items_wait_than_allowed_and_each_is_counted_once() -> None:
    """Some are done immediately, as an order of nothing is; the others are settled a few at a time."""
    steps, waiting, begun, most = Steps(), set[int](), list[int](), 0
    items = range(3 * UNDER_WAY + 7)

    async def begin(item: int) -> bool:
        nonlocal most
        begun.append(item)
        if item % 5 == 0:
            return False
        waiting.add(item)
        most = max(most, len(waiting))
        return True

    async def look() -> int:
        for item in sorted(waiting)[:100]:
            waiting.remove(item)
        return len(waiting)

    steps.begin(Step.PAY, len(items))
    calls = Calls(steps, sleep=lambda _: asyncio.sleep(0), clock=lambda: 0.0)
    await calls.settle("payments", items, begin, look)
    assert begun == list(items)
    assert not waiting
    assert most == UNDER_WAY * 4 // 5
    assert steps.done[Step.PAY] == (len(items), len(items))

"""Waiting for conditions by polling."""

import asyncio
import time
from collections.abc import Callable

EVERY_SECONDS = 0.05


def now() -> float:
    """The clock of all measurements here, in seconds."""
    return time.monotonic()


async def comes_true(true: Callable[[], bool], within: float) -> bool:
    """Whether the condition becomes true within this many seconds; returns as soon as it does."""
    until = now() + within
    while not (found := true()) and now() < until:  # noqa: ASYNC110 - it is told by nobody
        await asyncio.sleep(EVERY_SECONDS)
    return found

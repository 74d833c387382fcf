"""Waiting until every server knows what has changed, and no longer than the contract allows."""

import asyncio
from collections.abc import Awaitable, Callable

WITHIN = 1.0
"""In seconds."""


async def within_a_second(ask: Callable[[], Awaitable[object]], expected: object) -> None:
    """Asks until the answer is the expected one, which a question that is asked a second from now must have."""
    clock = asyncio.get_running_loop().time
    ends = clock() + WITHIN
    while True:
        late = clock() >= ends
        if (answer := await ask()) == expected:
            return
        assert not late, f"still {answer} after a second, not {expected}"
        await asyncio.sleep(0.02)

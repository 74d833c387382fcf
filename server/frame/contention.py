"""Beginning again where other transactions collided with one's own."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from server.frame.errors import Contention
from storage.errors import StoreContention

_TRIES = 5

Answer = TypeVar("Answer")


async def begun_again(act: Callable[[], Awaitable[Answer]]) -> Answer:
    """Acts, in a transaction of its own each time, until nothing collides; raises Contention after five tries."""
    for _ in range(_TRIES):
        try:
            return await act()
        except StoreContention:
            continue
    raise Contention

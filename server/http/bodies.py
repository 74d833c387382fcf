"""How many bodies are read at once, before it is known who sends them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Bodies:
    """Places for bodies on their way; above the bounds, a new one takes the place of the one begun first.

    So those who send slowly keep out nobody who sends at once.
    """

    def __init__(self, *, most: int = 64, each: int = 32) -> None:
        """`most` in all, and `each` of one source."""
        self._most = most
        self._each = each
        self._places: dict[asyncio.Timeout, str] = {}

    @asynccontextmanager
    async def place(self, source: str) -> AsyncIterator[None]:
        """Raises TimeoutError within the block once its place is given to another."""
        same = [place for place, name in self._places.items() if name == source]
        if len(same) >= self._each:
            self._end(same[0])
        elif len(self._places) >= self._most:
            self._end(next(iter(self._places)))
        async with asyncio.timeout(None) as place:
            self._places[place] = source
            try:
                yield
            finally:
                self._places.pop(place, None)

    def _end(self, place: asyncio.Timeout) -> None:
        del self._places[place]
        place.reschedule(asyncio.get_running_loop().time())

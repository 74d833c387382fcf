"""Timeouts of many tasks for the price of a few timers."""

import asyncio
from types import TracebackType

TICK_SECONDS = 0.05
"""How early a timeout may end."""
_EXACT_SECONDS = 2.0
"""Shorter timeouts are exact."""


class Timeouts:
    """Timeouts of which those that end about the same time share a timer: it costs more than the rest of a timeout.

    Nearly all are left long before they end. One of two seconds or more ends up to TICK_SECONDS early: so a caller
    still gets the answer within its own deadline.
    """

    def __init__(self) -> None:
        self._by_tick: dict[int, set[_Timeout]] = {}

    def within(self, seconds: float) -> "_Timeout":
        """Raises TimeoutError where its block takes longer, as asyncio.timeout does; the block is a task's."""
        loop = asyncio.get_running_loop()
        timeout = _Timeout(loop)
        if seconds < _EXACT_SECONDS:
            timeout.timer = loop.call_later(max(0.0, seconds), timeout.end)
            return timeout
        tick = int((loop.time() + seconds) / TICK_SECONDS)
        together = self._by_tick.get(tick)
        if together is None:
            together = self._by_tick[tick] = set()
            loop.call_at(tick * TICK_SECONDS, self._end, tick)
        together.add(timeout)
        timeout.together = together
        return timeout

    def __len__(self) -> int:
        """How many there are of two seconds or more."""
        return sum(map(len, self._by_tick.values()))

    def _end(self, tick: int) -> None:
        for each in self._by_tick.pop(tick):
            each.end()


class _Timeout:
    """One block's; either its timer or what it shares one with is set."""

    __slots__ = ("_cancelling", "_ended", "_task", "timer", "together")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        task = asyncio.current_task(loop)
        assert task is not None  # noqa: S101 - a call runs in a task
        self._task = task
        self._cancelling = task.cancelling()
        self._ended = False
        self.timer: asyncio.TimerHandle | None = None
        self.together: set[_Timeout] | None = None

    def end(self) -> None:
        self._ended = True
        self._task.cancel()

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self.together is not None:
            self.together.discard(self)
        if self.timer is not None:
            self.timer.cancel()
        # Otherwise somebody else has cancelled it, and the cancellation goes on.
        if self._ended and self._task.uncancel() <= self._cancelling and kind is asyncio.CancelledError:
            raise TimeoutError from error

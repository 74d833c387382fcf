"""Work that continues though its caller has gone."""

import asyncio
from collections.abc import Callable, Coroutine
from concurrent.futures import Executor
from contextlib import suppress
from typing import Any, TypeVar

from server.frame.errors import Refusal

_MAX_TASKS = 100
"""How many may continue at the same time without their callers: a flood of cancelled calls is no way around load
shedding."""
_TASK_SECONDS = 20.0
"""For how long: more than any statement or hash takes."""

Result = TypeVar("Result")


class ShieldedTasks:
    """Finishes attempts that have begun, so that each is counted and recorded, whatever its caller does meanwhile."""

    def __init__(self, most: int = _MAX_TASKS) -> None:
        self._most = most
        self._detached: set[asyncio.Task[Any]] = set()

    async def run(self, work: Coroutine[Any, Any, Result]) -> Result:
        """The outcome of the work, which continues where the caller is cancelled."""
        task = asyncio.create_task(work)
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            if not task.done():
                self._detach(task)
            raise

    async def close(self) -> None:
        """Waits for what still runs, but no longer than its bound."""
        if self._detached:
            await asyncio.wait(self._detached, timeout=_TASK_SECONDS)

    def _detach(self, task: "asyncio.Task[Any]") -> None:
        if len(self._detached) >= self._most:
            task.cancel()
            return
        self._detached.add(task)
        loop = asyncio.get_running_loop()
        too_long = loop.call_later(_TASK_SECONDS, task.cancel)

        def ended(_: "asyncio.Task[Any]") -> None:
            too_long.cancel()
            self._detached.discard(task)
            error = None if task.cancelled() else task.exception()
            if error is not None and not isinstance(error, Refusal):
                loop.call_exception_handler({"message": "an attempt whose caller has gone failed", "exception": error})

        task.add_done_callback(ended)


async def in_thread(threads: Executor, work: Callable[[], Result]) -> Result:
    """Does blocking work in a thread, and waits for its end also where the caller is cancelled meanwhile: what it works
    on is to be closed or deleted after that."""
    future = asyncio.get_running_loop().run_in_executor(threads, work)
    try:
        return await asyncio.shield(future)
    except asyncio.CancelledError:
        with suppress(Exception):
            await future
        raise

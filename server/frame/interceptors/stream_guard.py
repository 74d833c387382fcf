"""A stream goes on only for as long as its caller may."""

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Self


class StreamGuard:
    """Stands around a stream, and ends it with the error of `wait_for_loss`, once that raises one.

    It does so as asyncio.timeout does: what the stream waits for is cancelled, and the cancellation becomes the error.
    What was asked for and is not answered by then may have been done.
    """

    def __init__(self, wait_for_loss: Callable[[], Coroutine[Any, Any, None]]) -> None:
        self._wait_for_loss = wait_for_loss
        self._lost: BaseException | None = None
        self._outside = False
        self._cancelled = False

    async def __aenter__(self) -> Self:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - a call runs in a task
        self._task = task
        self._watching = asyncio.create_task(self._watch())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._watching.cancel()
        if self._cancelled and self._task.uncancel() == 0 and isinstance(error, asyncio.CancelledError):
            assert self._lost is not None  # noqa: S101 - that is why it was cancelled
            raise self._lost from None

    @contextmanager
    def outside(self) -> Iterator[None]:
        """While an answer is written: that waits for its reader, in gRPC's own code, which must not be cancelled."""
        self._outside = True
        try:
            yield
        finally:
            self._outside = False
        if self._lost is not None:
            raise self._lost

    async def _watch(self) -> None:
        try:
            await self._wait_for_loss()
        except Exception as error:  # noqa: BLE001 - it rises in the stream, whatever it is
            self._lost = error
        if self._lost is not None and not self._outside:
            self._cancelled = True
            self._task.cancel()

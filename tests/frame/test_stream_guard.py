"""A stream that goes on only for as long as its caller may."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from server.frame.errors import PermissionMissing
from server.frame.interceptors.stream_guard import StreamGuard


class Loss:
    """What a caller may do, until it is lost."""

    def __init__(self) -> None:
        self._lost = asyncio.Event()

    def __call__(self) -> None:
        self._lost.set()

    async def wait_for_loss(self) -> None:
        await self._lost.wait()
        raise PermissionMissing(permission="a.b")


async def test_what_a_stream_waits_for_is_cut_off() -> None:
    """And the refusal rises in its place; the task itself goes on as if it had never been cancelled."""
    loss = Loss()
    asyncio.get_running_loop().call_later(0.01, loss)
    cleaned = asyncio.Event()

    async def stream() -> None:
        async with StreamGuard(loss.wait_for_loss):
            try:
                await asyncio.sleep(10)
            finally:
                cleaned.set()

    with pytest.raises(PermissionMissing):
        await stream()
    assert cleaned.is_set()
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0


async def test_what_ends_by_itself_is_left_alone() -> None:
    """Nothing is cancelled once it is over."""
    loss = Loss()
    async with StreamGuard(loss.wait_for_loss):
        await asyncio.sleep(0)
    loss()
    await asyncio.sleep(0.01)


async def test_a_stream_whose_reader_is_slow_ends_once_it_reads() -> None:
    """Writing is not cut off, which is gRPC's own work, but nothing more is told."""
    loss = Loss()

    async def stream() -> AsyncIterator[int]:
        async with StreamGuard(loss.wait_for_loss) as permitted:
            for number in range(3):
                with permitted.outside():
                    yield number

    telling = stream()
    assert await anext(telling) == 0
    loss()
    await asyncio.sleep(0.01)
    with pytest.raises(PermissionMissing):
        await anext(telling)


@pytest.mark.parametrize("lost", [False, True])
async def test_a_caller_that_goes_is_not_answered_with_a_refusal(lost: bool) -> None:
    """A cancellation from elsewhere stays one, though the permission is lost at the same time."""
    loss = Loss()

    async def call() -> None:
        async with StreamGuard(loss.wait_for_loss):
            await asyncio.sleep(10)

    task = asyncio.create_task(call())
    await asyncio.sleep(0.01)
    if lost:
        loss()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_an_error_of_the_watching_ends_the_stream() -> None:
    """Who cannot find out whether a caller may go on does not let it."""

    async def away() -> None:
        raise ConnectionError

    with pytest.raises(ConnectionError):
        async with StreamGuard(away):
            await asyncio.sleep(10)

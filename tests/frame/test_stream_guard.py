"""A stream continues only as long as its caller may call it."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from server.frame.errors import PermissionMissing
from server.frame.interceptors.stream_guard import StreamGuard


class Loss:
    """A permission that can be revoked."""

    def __init__(self) -> None:
        self._lost = asyncio.Event()

    def __call__(self) -> None:
        self._lost.set()

    async def wait_for_loss(self) -> None:
        await self._lost.wait()
        raise PermissionMissing(permission="a.b")


async def test_a_waiting_stream_is_cut_off() -> None:
    """The refusal is raised in place of its wait; the task itself continues as if it had never been cancelled."""
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


async def test_a_wait_that_ends_normally_is_not_cancelled() -> None:
    """Nothing is cancelled once it is over."""
    loss = Loss()
    async with StreamGuard(loss.wait_for_loss):
        await asyncio.sleep(0)
    loss()
    await asyncio.sleep(0.01)


async def test_a_stream_whose_reader_is_slow_ends_once_it_reads() -> None:
    """A write is not interrupted, since it is gRPC's own work, but nothing more is sent."""
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
async def test_a_caller_that_disconnects_gets_no_refusal(lost: bool) -> None:
    """A cancellation from elsewhere remains one, even if the permission is lost at the same time."""
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


async def test_an_error_in_watching_access_ends_the_stream() -> None:
    """If access cannot be checked, the caller may not continue."""

    async def away() -> None:
        raise ConnectionError

    with pytest.raises(ConnectionError):
        async with StreamGuard(away):
            await asyncio.sleep(10)

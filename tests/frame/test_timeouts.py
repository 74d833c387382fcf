"""Timeouts end what takes too long, and leave alone what does not."""

import asyncio

import pytest

from server.frame import timeouts
from server.frame.timeouts import Timeouts


@pytest.fixture(params=[True, False], ids=["shared timers", "own timers"])
def seconds(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> float:
    """A short time, at which a timeout is either exact or shares its timer."""
    monkeypatch.setattr(timeouts, "_EXACT_SECONDS", 0.0 if request.param else 2.0)
    return 0.2


async def test_a_block_that_takes_too_long_raises(seconds: float) -> None:
    """At its time, or a tick before it; the task itself is not cancelled."""
    within, loop = Timeouts(), asyncio.get_running_loop()
    began = loop.time()
    with pytest.raises(TimeoutError), within.within(seconds):
        await asyncio.Event().wait()
    assert loop.time() - began >= seconds - timeouts.TICK_SECONDS - 0.001
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0
    await asyncio.sleep(0)


async def test_a_block_that_ends_in_time_goes_on(seconds: float) -> None:
    """Also beyond the time that the block had."""
    within = Timeouts()
    with within.within(seconds):
        await asyncio.sleep(0)
    assert len(within) == 0
    await asyncio.sleep(2 * seconds)


async def test_of_two_timeouts_the_nearer_ends_the_block(seconds: float) -> None:
    """The error passes through the further one, which is left."""
    within = Timeouts()
    with pytest.raises(TimeoutError), within.within(60), within.within(seconds):
        await asyncio.Event().wait()
    assert len(within) == 0


async def test_a_cancellation_from_elsewhere_goes_on(seconds: float) -> None:
    """It is no timeout, even if the time is over as well."""
    within, entered = Timeouts(), asyncio.Event()

    async def waiting() -> None:
        with within.within(seconds):
            entered.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(waiting())
    await entered.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert len(within) == 0


async def test_an_error_of_the_block_is_raised(seconds: float) -> None:
    """As it is."""
    with pytest.raises(ValueError, match="its own"), Timeouts().within(seconds):
        raise ValueError("its own")


async def test_those_that_end_together_are_all_ended(seconds: float) -> None:
    """Each in its own task."""
    within = Timeouts()

    async def waiting() -> str:
        try:
            with within.within(seconds):
                await asyncio.Event().wait()
        except TimeoutError:
            return "late"
        return "in time"

    assert await asyncio.gather(*(waiting() for _ in range(50))) == ["late"] * 50
    assert len(within) == 0

"""Waiting for the synchronous standby on behalf of many jobs at once."""

import asyncio

import pytest

from storage.confirmations import Confirmations
from storage.database import Database
from storage.errors import StoreUnavailable
from storage.store import FRAME
from storage.timelines import Seen


async def test_those_that_end_during_a_wait_share_the_next_one(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The wait under way may have begun before they read; one more is enough for all of them."""
    store = database.store(FRAME)
    wait, begun, ended, goes_on = store.wait_for_standby, 0, 0, asyncio.Event()

    async def counted(before: Seen) -> None:
        nonlocal begun
        begun += 1
        await goes_on.wait()
        await wait(before)

    monkeypatch.setattr(store, "wait_for_standby", counted)
    confirmations = Confirmations(store)

    async def read() -> None:
        nonlocal ended
        async with confirmations.confirmed():
            async with store.reading() as reading:
                await reading.environment.find()
            ended += 1

    async with asyncio.TaskGroup() as tasks, asyncio.timeout(120):
        tasks.create_task(read())
        while not begun:  # noqa: ASYNC110 - polled
            await asyncio.sleep(0.01)
        later = [tasks.create_task(read()) for _ in range(20)]
        while ended < 21:  # noqa: ASYNC110 - polled
            await asyncio.sleep(0.01)
        assert begun == 1
        assert not any(each.done() for each in later)
        goes_on.set()
    assert begun == 2


async def test_a_wait_that_fails_fails_for_all_and_the_next_one_is_tried(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each of them is tried again by its queue."""
    store = database.store(FRAME)
    wait, fails = store.wait_for_standby, [True]

    async def failing(before: Seen) -> None:
        if fails.pop() if fails else False:
            raise StoreUnavailable
        await wait(before)

    monkeypatch.setattr(store, "wait_for_standby", failing)
    confirmations = Confirmations(store)
    with pytest.raises(StoreUnavailable):
        async with confirmations.confirmed():
            pass
    async with confirmations.confirmed():
        pass

"""The snapshot in memory follows changes by any server, and stays while the database is away."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest
import structlog

from server.flags.rules.fractional import Fractional
from server.flags.service.following import CurrentFlags
from server.frame.errors import DatabaseUnavailable, Stopping
from server.frame.module import now
from storage.database import Database
from storage.flags.store import FLAGS
from storage.notifications import Notifications
from tests.fixtures.keys import MASTER_KEYS
from tests.fixtures.pgbouncer import POOLER
from tests.flags.keeping import add, change
from tests.flags.values import flag, segment

SOON = 1.0
"""In seconds: a change takes no longer, and on a busy machine the clock of a test begins late."""


def current(database: Database, *, hears: bool = True, poll_seconds: float = 0.5) -> CurrentFlags:
    notifications = database.notifications if hears else Notifications(None)
    logger = structlog.get_logger()
    return CurrentFlags(database.store(FLAGS), notifications, Fractional.V3, logger, now=now, poll_seconds=poll_seconds)


@asynccontextmanager
async def following(flags: CurrentFlags) -> AsyncIterator[CurrentFlags]:
    task = asyncio.create_task(flags.follow())
    try:
        yield flags
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_the_flags_are_there_whole_after_the_first_loading(database: Database) -> None:
    """What was made before the start is seen, in each of the sets."""
    version = await add(database, flag("a"), flag("b", flag_set_id="shop"))
    flags = current(database)
    await flags.load()
    assert flags.snapshot.version == version
    assert set(flags.view("").flags) == {"a"}
    assert set(flags.view("shop").flags) == {"b"}


async def test_nothing_is_evaluated_before_the_flags_could_be_read(database: Database) -> None:
    """An empty snapshot would answer FLAG_NOT_FOUND for flags that there are."""
    flags = current(database)
    assert not flags.loaded
    with pytest.raises(DatabaseUnavailable):
        flags.view("")
    await flags.load()
    assert not flags.view("").flags


async def test_a_change_is_heard_of_at_once(database: Database) -> None:
    """Long before the next poll."""
    if POOLER.value == "transaction":
        pytest.skip("nothing is heard behind it")
    async with following(current(database, poll_seconds=3600)) as flags:
        await asyncio.sleep(0.5)  # it listens
        version = await add(database, flag("a"))
        found = await flags.after(version - 1, within=30)
        assert found is not None
        assert found.version == version
        assert set(found.view("").flags) == {"a"}


async def test_a_change_whose_notification_is_lost_is_found_by_asking(database: Database) -> None:
    """As where notifications are not available at all."""
    async with following(current(database, hears=False)) as flags:
        version = await add(database, flag("a"))
        assert await flags.after(version - 1, within=30) is not None
        assert set(flags.view("").flags) == {"a"}


async def test_many_changes_at_once_are_all_seen(database: Database) -> None:
    """They are compiled in a thread, and a change that comes meanwhile is not lost."""
    async with following(current(database)) as flags:
        await add(database, *(flag(f"f{number}") for number in range(300)))
        version = await add(database, flag("last"))
        assert await flags.after(version - 1, within=30) is not None
        assert len(flags.view("").flags) == 301


async def test_a_change_of_a_segment_reaches_the_flags_of_a_large_set(database: Database) -> None:
    """Only the segment's row changed, and all flags that refer to it are compiled again."""
    targeted = [flag(f"f{number}", targeting={"if": [{"$ref": "staff"}, "on"]}) for number in range(300)]
    staff = segment("staff", {"==": [{"var": "team"}, "a"]})
    version = await add(database, *targeted, segments=[staff])
    async with following(current(database)) as flags:
        assert await flags.after(version - 1, within=30) is not None
        before = flags.view("").flags["f1"].rule
        changed = replace(staff, rule={"==": [{"var": "team"}, "b"]}, version=2)
        version = await change(database, segments=[changed])
        assert await flags.after(version - 1, within=30) is not None
        assert flags.view("").flags["f1"].rule != before


async def test_whoever_waits_without_a_change_is_told_so_in_time(database: Database) -> None:
    """A stream has something to say from time to time."""
    flags = current(database)
    await flags.load()
    assert await flags.after(flags.snapshot.version, within=0.01) is None


async def test_whoever_waits_is_told_that_the_process_stops(database: Database) -> None:
    """And evaluation goes on until the process has ended."""
    flags = current(database)
    await add(database, flag("a"))
    await flags.load()
    waiting = asyncio.create_task(flags.after(flags.snapshot.version, within=30))
    await asyncio.sleep(0)
    await flags.close()
    with pytest.raises(Stopping):
        await waiting
    assert set(flags.view("").flags) == {"a"}


@pytest.mark.parametrize("turns", range(6))
async def test_it_ends_though_a_change_comes_as_it_is_cancelled(database: Database, turns: int) -> None:
    """At whichever turn of the event loop: a server that stops waits for it."""
    flags = current(database, poll_seconds=600)
    task = asyncio.create_task(flags.follow())
    await add(database, flag("a"))
    async with asyncio.timeout(30):
        await flags.after(0, within=30)
        while flags._heard.is_set():  # noqa: ASYNC110 - polled
            await asyncio.sleep(0.01)
    await asyncio.sleep(0.2)
    flags._heard.set()
    for _ in range(turns):
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task], timeout=10)
    assert task.cancelled()


async def test_two_servers_end_on_the_same_version_after_many_quick_changes(database_url: str) -> None:
    """Whichever notifications arrived, and in whichever order they polled."""
    databases = [Database(database_url, audit_key=MASTER_KEYS.audit_key, pool_size=3, pooler=POOLER) for _ in "ab"]
    try:
        async with following(current(databases[0])) as one, following(current(databases[1])) as other:
            version = 0
            for number in range(100):
                version = await add(databases[number % 2], flag(f"f{number}"))
            found = [await each.after(version - 1, within=30) for each in (one, other)]
            assert [each and each.version for each in found] == [version, version]
            assert all(len(each.view("").flags) == 100 for each in (one, other))
    finally:
        for each in databases:
            await each.close()


async def test_a_change_of_nothing_wakes_nobody_twice(database: Database) -> None:
    """A version that is known already is no news."""
    flags = current(database)
    version = await add(database, flag("a"))
    await flags.load()
    before: Any = flags.snapshot
    await flags.load()
    assert flags.snapshot is before
    assert before.version == version

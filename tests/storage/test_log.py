"""Where a log ends, and which changes are new after an earlier end."""

import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import psycopg
import pytest

from storage.database import Database
from storage.errors import TimelineChanged
from storage.frame.records import LogEnd, LogRange
from storage.identity.store import IDENTITY
from storage.snapshots import Snapshot

NOW = datetime(2026, 3, 1, tzinfo=UTC)


async def added(database: Database, count: int = 1) -> list[UUID]:
    """This many changes, each in its own transaction."""
    accounts = [uuid4() for _ in range(count)]
    for account in accounts:
        async with database.store(IDENTITY).transaction() as tx:
            await tx.access_changes.add([account], NOW)
    return accounts


async def end_of(database: Database) -> LogEnd:
    async with database.store(IDENTITY).reading() as tx:
        return await tx.access_changes.find_end()


async def new_since(database: Database, end: LogEnd) -> tuple[Sequence[UUID | None], LogEnd]:
    """The accounts whose changes are new after an end, and the log's current end."""
    async with database.store(IDENTITY).reading() as tx:
        news = await tx.access_changes.find_news(end.snapshot)
        if news.first is None:
            return [], news
        page = await tx.access_changes.list_changes(LogRange(news.timeline, end.snapshot, news.snapshot), 100)
    return [change.account_id for change in page.changes], news


async def test_a_log_ends_with_the_last_transaction_that_wrote_into_it(database: Database, database_url: str) -> None:
    """Later ones without a row in the log may leave no trace on the disk, and are not included."""
    await added(database, 3)
    before = await end_of(database)
    with psycopg.connect(database_url, autocommit=True) as connection:
        for _ in range(10):
            connection.execute("SELECT pg_current_xact_id()")
        ((last,),) = connection.execute("SELECT max(transaction_id)::text::bigint FROM identity.access_changes")
    after = await end_of(database)
    assert Snapshot.of(before.snapshot).xmax == Snapshot.of(after.snapshot).xmax == last + 1
    assert Snapshot.of(after.visible).xmax > last + 10
    assert re.fullmatch(r"[0-9a-f]{1,16}\.[0-9a-f]{8}", after.timeline)


async def test_each_change_is_new_once(database: Database) -> None:
    """After an empty log as after any other, including a late commit that the end did not show."""
    end = await end_of(database)
    first = await added(database, 2)
    found, end = await new_since(database, end)
    assert found == first
    late = uuid4()
    async with database.store(IDENTITY).transaction() as tx:
        await tx.access_changes.add([late], NOW)
        between = await added(database)
        found, end = await new_since(database, end)
        assert found == between
    assert (await new_since(database, end))[0] == [late]
    assert (await new_since(database, (await new_since(database, end))[1]))[0] == []


async def test_an_end_does_not_go_back_after_a_purge(database: Database) -> None:
    """Later changes are new once, even if nothing is left of the earlier ones."""
    await added(database, 3)
    end = await end_of(database)
    async with database.store(IDENTITY).transaction() as tx:
        assert await tx.access_changes.purge(NOW + timedelta(days=1), 100) == 3
    found, purged = await new_since(database, end)
    assert found == []
    assert Snapshot.of(purged.snapshot).covers(Snapshot.of(end.snapshot))
    assert Snapshot.of((await end_of(database)).visible).covers(Snapshot.of(end.snapshot))
    following = await added(database)
    for since in (end, purged):
        assert (await new_since(database, since))[0] == following


async def test_ids_that_a_restored_database_has_not_reached_end_no_log(database: Database, database_url: str) -> None:
    """A dump contains the ids of another server, which may be higher than any that was assigned here."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(
            "INSERT INTO identity.access_changes (account_id, create_time, transaction_id)"
            " VALUES (gen_random_uuid(), now(), '4000000000')"
        )
    end = await end_of(database)
    following = await added(database)
    assert (await new_since(database, end))[0] == following


@pytest.mark.parametrize("after", [0, 1])
async def test_changes_of_another_timeline_are_not_read(database: Database, after: int) -> None:
    """Neither from the start nor from the middle."""
    end = await end_of(database)
    await added(database, 3)
    _, until = await new_since(database, end)
    system, number = end.timeline.split(".")
    async with database.store(IDENTITY).reading() as tx:
        log_range = LogRange(end.timeline, end.snapshot, until.snapshot, after)
        assert (await tx.access_changes.list_changes(log_range, 100)).changes
        for other in (f"{system}.{int(number, 16) + 1:08x}", f"1{system[1:]}.{number}"):
            with pytest.raises(TimelineChanged):
                await tx.access_changes.list_changes(replace(log_range, timeline=other), 100)

"""The migrations lead to the tables and back, however they are run."""

import asyncio

import psycopg
import pytest
from alembic.script import ScriptDirectory

import migrations
from migrations import compare
from storage.database import Database
from tests.faults.load import until
from tests.process.commands import backroom


async def revision_of(url: str) -> str | None:
    database = Database(url, pool_size=1)
    try:
        return await database.revision()
    finally:
        await database.close()


def ours(url: str) -> set[tuple[int, str]]:
    """Every table and index, with the id that changes when it is created again."""
    query = """
        SELECT c.oid::int, n.nspname || '.' || c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
         WHERE n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast')
    """
    with psycopg.connect(url) as connection:
        return {(int(row[0]), str(row[1])) for row in connection.execute(query)}


def test_the_history_is_one_line_in_the_order_of_its_files() -> None:
    """Each revision is the file's number, and follows the previous number."""
    script = ScriptDirectory.from_config(migrations._config("postgresql://nowhere"))
    line = [each.revision for each in script.walk_revisions()][::-1]
    assert line == [f"{number:04}" for number in range(1, len(line) + 1)]
    assert script.get_heads() == [migrations.head()] == line[-1:]


async def test_up_down_and_up_again_gives_the_same(empty_url: str) -> None:
    """Down leaves nothing of ours behind; up again creates the same as the first time."""
    assert await revision_of(empty_url) is None
    migrations.upgrade(empty_url)
    first = compare._catalog(empty_url)
    assert await revision_of(empty_url) == migrations.head()
    migrations.downgrade(empty_url, "base")
    assert {name for _, name in ours(empty_url)} <= {"public.alembic_version", "public.alembic_version_pkc"}
    assert await revision_of(empty_url) is None
    migrations.upgrade(empty_url)
    assert compare._catalog(empty_url) == first
    assert await revision_of(empty_url) == migrations.head()


async def test_each_revision_can_be_undone_separately(empty_url: str) -> None:
    """One step down from each, and one step up, gives the same."""
    for number in range(1, int(migrations.head()) + 1):
        migrations.upgrade(empty_url, f"{number:04}")
        there = compare._catalog(empty_url)
        migrations.downgrade(empty_url, f"{number - 1:04}" if number > 1 else "base")
        migrations.upgrade(empty_url, f"{number:04}")
        assert compare._catalog(empty_url) == there
    assert await revision_of(empty_url) == migrations.head()


def test_upgrading_at_the_newest_does_nothing(database_url: str) -> None:
    """No table is created again."""
    before = ours(database_url)
    migrations.upgrade(database_url)
    assert ours(database_url) == before


@pytest.mark.slow
async def test_two_concurrent_upgrades_succeed(empty_url: str) -> None:
    """Two servers of a deployment start together: one does the work, and the other waits for it."""
    async with asyncio.TaskGroup() as group:
        with psycopg.connect(empty_url) as connection:
            # Another transaction is creating what the first migration creates, so that both wait until this ends.
            connection.execute("CREATE SCHEMA frame")
            running = [group.create_task(backroom("migrate", DATABASE_URL=empty_url)) for _ in range(2)]
            await until(lambda: waiting(empty_url) == 2, within=30)
            connection.rollback()
    for finished in (task.result() for task in running):
        assert (finished.code, finished.err) == (0, "")
        assert finished.out == f"the database is at migration {migrations.head()}\n"
    assert await revision_of(empty_url) == migrations.head()


def waiting(url: str) -> int:
    """How many sessions wait for a lock in this database."""
    query = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    with psycopg.connect(url) as connection:
        row = connection.execute(query).fetchone()
    return int(row[0]) if row else 0

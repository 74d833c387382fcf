"""What must hold of all that is kept, asked by a test."""

from collections.abc import Iterable

import psycopg

from storage.database import Database
from storage.schema import LAWS


async def broken(database: Database) -> dict[str, list[str]]:
    """The laws that do not hold, each with what breaks it; all is read in one snapshot."""
    findings = await database.check(LAWS)
    return {f"{each.id}: {each.law}": list(each.violating) for each in findings if each.violations}


async def assert_whole(database: Database) -> None:
    assert await broken(database) == {}


def assert_kept(database_url: str, acknowledged: Iterable[str]) -> None:
    """All laws hold, and every order that a caller was told of is there, once; for tests whose server is gone."""
    with psycopg.connect(database_url) as connection:
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        found = {law.text: connection.execute(law.broken.encode()).fetchall() for law in LAWS}
        stored = [str(row[0]) for row in connection.execute("SELECT id FROM commerce.orders")]
    assert {law: rows for law, rows in found.items() if rows} == {}
    told = list(acknowledged)
    assert len(set(told)) == len(told)
    assert set(told) <= set(stored)


def count_orders(database_url: str) -> int:
    with psycopg.connect(database_url) as connection:
        row = connection.execute("SELECT count(*) FROM commerce.orders").fetchone()
    return int(row[0]) if row else 0

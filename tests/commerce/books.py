"""Commerce's tables, which tests read directly rather than through use cases."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import text

from storage.database import Database
from storage.store import FRAME


async def unlocked(database: Database, table: str, key: str = "id") -> set[UUID]:
    """The keys of those rows of a table that no other transaction has locked."""
    return {*await _column(database, f"SELECT {key} FROM commerce.{table} FOR UPDATE SKIP LOCKED")}


async def count(database: Database, table: str) -> int:
    """How many rows a table has."""
    [rows] = await _column(database, f"SELECT count(*) FROM commerce.{table}")
    return int(rows)


async def run(database: Database, statement: str) -> None:
    """Runs a statement for which there is no use case yet."""
    async with database.store(FRAME).transaction() as tx:
        await tx._connection.execute(text(statement))


async def _column(database: Database, statement: str) -> Sequence[Any]:
    async with database.store(FRAME).reading() as tx:
        return (await tx._connection.execute(text(statement))).scalars().all()

from collections.abc import Collection, Sequence
from datetime import datetime

from sqlalchemy import bindparam, delete, select, union_all, update
from sqlalchemy.dialects.postgresql import insert as upsert

from storage.base import Reader, Repository, json_parameter, json_rows
from storage.files.tables import contents, deletions, pieces

_GIVEN = json_rows(deletions, "key")
_KNOWN = union_all(
    *(
        select(table.c.key).where(table.c.key.in_(select(json_rows(deletions, "key").c.key)))
        for table in (contents, pieces, deletions)
    )
)
_DUE = (
    select(deletions.c.key, deletions.c.attempts)
    .where(deletions.c.due_time <= bindparam("now"))
    .order_by(deletions.c.due_time)
    .limit(bindparam("most"))
)


class ObjectReader(Reader):
    """What the storage's objects are to files."""

    async def known_among(self, keys: Collection[str]) -> frozenset[str]:
        """Those of these objects that belong to something, or are to be deleted already."""
        values = json_parameter(("key",), ((each,) for each in keys))
        return frozenset((await self._connection.execute(_KNOWN, values)).scalars())

    async def list_due(self, now: datetime, limit: int) -> Sequence[str]:
        """Objects that are to be deleted by now, those first that were due first."""
        found = await self._connection.execute(_DUE, {"now": now, "most": limit})
        return found.scalars().all()


class ObjectRepository(ObjectReader, Repository):
    """Objects that nothing refers to any more, until they are deleted."""

    async def let_go(self, keys: Collection[str], now: datetime) -> None:
        """Has objects deleted, once this transaction has committed."""
        if keys:
            rows = [{"key": each, "due_time": now, "attempts": 0, "create_time": now} for each in keys]
            await self._connection.execute(upsert(deletions).values(rows).on_conflict_do_nothing())

    async def forget(self, keys: Collection[str]) -> None:
        """These are deleted."""
        gone = select(_GIVEN.c.key)
        values = json_parameter(("key",), ((each,) for each in keys))
        await self._connection.execute(delete(deletions).where(deletions.c.key.in_(gone)), values)

    async def try_again(self, keys: Collection[str], due_time: datetime) -> None:
        """These could not be deleted."""
        mine = deletions.c.key.in_(select(_GIVEN.c.key))
        statement = update(deletions).where(mine).values(due_time=due_time, attempts=deletions.c.attempts + 1)
        await self._connection.execute(statement, json_parameter(("key",), ((each,) for each in keys)))

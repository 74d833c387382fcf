from collections.abc import Collection, Sequence
from datetime import date

from sqlalchemy import bindparam, text
from sqlalchemy.types import Date

from storage.base import Reader, Repository

_LIST = text("""
    SELECT to_date(right(child.relname, 8), 'YYYYMMDD') AS day
    FROM pg_inherits JOIN pg_class AS child ON child.oid = inhrelid
    WHERE inhparent = 'events.events'::regclass ORDER BY 1
""")
_CREATE = text("SELECT events.create_partition(:day)").bindparams(bindparam("day", type_=Date))
_DROP = text("SELECT events.drop_partition(:day)").bindparams(bindparam("day", type_=Date))
_SHORT = text("SET LOCAL lock_timeout = '1s'")
"""Whoever waits to drop a partition keeps all others waiting behind it."""


class PartitionReader(Reader):
    """The days, in UTC, that events are stored of: each is a partition."""

    async def list_days(self) -> Sequence[date]:
        """The earliest first."""
        return list((await self._connection.execute(_LIST)).scalars())


class PartitionRepository(PartitionReader, Repository):
    """The same, to be made and dropped; both are done by functions that have the owner's rights."""

    async def create(self, days: Collection[date]) -> None:
        """What exists already stays; two transactions that make the same one wait for one another."""
        for day in sorted(days):
            await self._connection.execute(_CREATE, {"day": day})

    async def drop(self, day: date) -> bool:
        """Drops a day with all its events; whether there was one. Raises StoreContention where others keep using it."""
        await self._connection.execute(_SHORT)
        return bool((await self._connection.execute(_DROP, {"day": day})).scalar_one())

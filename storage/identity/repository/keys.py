from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert

from storage.base import Repository
from storage.identity.records import Key, KeyUse
from storage.identity.tables.keys import keys


class KeyRepository(Repository):
    """The keys that sign access tokens and derive other secrets."""

    async def add(self, key: Key) -> None:
        """Adds the active key of its use; where another server was first, its key stays."""
        values = {name: getattr(key, name) for name in Key.__slots__}
        await self._connection.execute(insert(keys).values(values).on_conflict_do_nothing())

    async def list_all(self) -> Sequence[Key]:
        found = await self._connection.execute(select(keys).order_by(keys.c.create_time))
        return [Key(row.id, KeyUse(row.use), row.material, row.create_time, row.retire_time) for row in found]

from collections.abc import Collection, Sequence
from datetime import datetime

from sqlalchemy import delete, func, select, update
from sqlalchemy.dialects.postgresql import insert

from storage.base import Reader, Records, Repository, column_names, row_maker
from storage.identity.records import Key, KeyUse
from storage.identity.tables.keys import keys

_CHANGING = 0x626B726D_00000004
"""The advisory lock of whoever makes, seals or revokes keys."""

_KEYS = Records(Key, use=KeyUse)
_NEW = row_maker(column_names(keys))


class KeyReader(Reader):
    """The keys that sign access tokens and derive other secrets, as they are kept: sealed."""

    async def list_all(self) -> Sequence[Key]:
        """In the order in which they become active."""
        statement = select(keys).order_by(keys.c.activate_time, keys.c.create_time, keys.c.id)
        return _KEYS.all(await self._connection.execute(statement))


class KeyRepository(KeyReader, Repository):
    """The keys that sign access tokens and derive other secrets, as they are kept: sealed."""

    async def lock(self) -> None:
        """Until this transaction ends, nobody else who locks them changes keys."""
        await self._connection.execute(select(func.pg_advisory_xact_lock(_CHANGING)))

    async def add(self, key: Key) -> None:
        await self._connection.execute(insert(keys).values(_NEW(key)))

    async def seal(self, key_id: str, material: bytes) -> None:
        """Replaces a key's material by the same, sealed."""
        statement = update(keys).where(keys.c.id == key_id)
        await self._connection.execute(statement.values(material=material, sealed=True))

    async def revoke(self, key_id: str, now: datetime) -> None:
        await self._connection.execute(update(keys).where(keys.c.id == key_id).values(revoke_time=now))

    async def remove(self, key_ids: Collection[str]) -> None:
        """Destroys keys that nothing needs any more."""
        if key_ids:
            await self._connection.execute(delete(keys).where(keys.c.id.in_(key_ids)))

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Select, select, update
from sqlalchemy.dialects.postgresql import insert

from storage.base import Reader, Records, Repository, row_maker
from storage.identity.records import ApiKey
from storage.identity.tables.keys import api_keys

_KEY = ("id", "account_id", "prefix", "create_time", "expire_time", "last_use_time", "end_time")
_KEYS = Records(ApiKey)
_NEW = row_maker(_KEY)


class ApiKeyReader(Reader):
    """The keys of service accounts, as they stand."""

    async def find(self, key_id: UUID) -> ApiKey | None:
        return _KEYS.first(await self._connection.execute(_keys().where(api_keys.c.id == key_id)))

    async def find_by_hash(self, key_hash: bytes) -> ApiKey | None:
        return _KEYS.first(await self._connection.execute(_keys().where(api_keys.c.hash == key_hash)))

    async def hash_of(self, key_id: UUID) -> bytes:
        """The hash of a key that was made."""
        statement = select(api_keys.c.hash).where(api_keys.c.id == key_id)
        return bytes((await self._connection.execute(statement)).scalar_one())

    async def list_live(self, account_id: UUID, now: datetime) -> Sequence[ApiKey]:
        """An account's keys that have not ended at a time, oldest first."""
        unexpired = api_keys.c.expire_time.is_(None) | (api_keys.c.expire_time > now)
        live = (api_keys.c.account_id == account_id) & api_keys.c.end_time.is_(None) & unexpired
        found = await self._connection.execute(_keys().where(live).order_by(api_keys.c.create_time, api_keys.c.id))
        return _KEYS.all(found)


class ApiKeyRepository(ApiKeyReader, Repository):
    """The keys of service accounts.

    Whoever makes or ends one locks its account first, so that these need no locks of their own.
    """

    async def add(self, key: ApiKey, key_hash: bytes) -> None:
        await self._connection.execute(insert(api_keys).values(**_NEW(key), hash=key_hash))

    async def end(self, key_id: UUID, now: datetime) -> bool:
        """Ends a key; False where it has ended, which keeps its time."""
        alive = (api_keys.c.id == key_id) & api_keys.c.end_time.is_(None)
        return (await self._connection.execute(update(api_keys).where(alive).values(end_time=now))).rowcount == 1

    async def end_everyones(self, now: datetime) -> int:
        """Ends all keys of all accounts, and returns how many of them had not expired."""
        statement = update(api_keys).where(api_keys.c.end_time.is_(None)).values(end_time=now)
        ended = await self._connection.execute(statement.returning(api_keys.c.expire_time))
        return sum(expire_time is None or expire_time > now for expire_time in ended.scalars())

    async def note_use(self, key_id: UUID, time: datetime) -> bool:
        """Notes a key's last use; False where it is noted, or somebody else is just noting it."""
        earlier = api_keys.c.last_use_time.is_(None) | (api_keys.c.last_use_time < time)
        unnoted = select(api_keys.c.id).where(api_keys.c.id == key_id, earlier)
        mine = api_keys.c.id.in_(unnoted.with_for_update(key_share=True, skip_locked=True))
        return (await self._connection.execute(update(api_keys).where(mine).values(last_use_time=time))).rowcount == 1


def _keys() -> Select[Any]:
    return select(*(api_keys.c[name] for name in _KEY))

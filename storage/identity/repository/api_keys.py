from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert

from storage.base import Repository
from storage.identity.records import ApiKey
from storage.identity.tables.keys import api_keys


class ApiKeyRepository(Repository):
    """The keys of service accounts."""

    async def add(self, key: ApiKey, key_hash: bytes) -> None:
        values = {name: getattr(key, name) for name in ApiKey.__slots__}
        await self._connection.execute(insert(api_keys).values(**values, hash=key_hash))

    async def find_by_hash(self, key_hash: bytes) -> ApiKey | None:
        statement = select(*(api_keys.c[name] for name in ApiKey.__slots__)).where(api_keys.c.hash == key_hash)
        row = (await self._connection.execute(statement)).first()
        return ApiKey(*row) if row else None

from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.dialects.postgresql import insert as upsert

from storage.base import Reader, Records, Repository
from storage.files.records import Usage
from storage.files.tables import usages

_USAGES = Records(Usage)


class UsageReader(Reader):
    """How much accounts store."""

    async def find(self, owner_id: UUID) -> Usage:
        """What an account stores; nothing where it never stored anything."""
        found = await self._connection.execute(select(usages).where(usages.c.owner_id == owner_id))
        return _USAGES.first(found) or Usage(owner_id, 0, 0, None)


class UsageRepository(UsageReader, Repository):
    """How much accounts store. Whoever locks a file and its owner's usage locks the file first."""

    async def add(self, owner_id: UUID, size_bytes: int) -> Usage:
        """Counts one file more, and returns what there is with it; locked until the transaction ends."""
        new = upsert(usages).values(owner_id=owner_id, file_count=1, used_bytes=size_bytes)
        counted = {"file_count": usages.c.file_count + 1, "used_bytes": usages.c.used_bytes + size_bytes}
        statement = new.on_conflict_do_update(index_elements=["owner_id"], set_=counted).returning(*usages.c)
        return _USAGES.one((await self._connection.execute(statement)).one())

    async def remove(self, owner_id: UUID, size_bytes: int) -> None:
        """Counts one file less."""
        fewer = {"file_count": usages.c.file_count - 1, "used_bytes": usages.c.used_bytes - size_bytes}
        await self._connection.execute(update(usages).where(usages.c.owner_id == owner_id).values(fewer))

    async def set_quota(self, owner_id: UUID, quota_bytes: int | None) -> Usage:
        new = upsert(usages).values(owner_id=owner_id, file_count=0, used_bytes=0, quota_bytes=quota_bytes)
        statement = new.on_conflict_do_update(index_elements=["owner_id"], set_={"quota_bytes": quota_bytes})
        return _USAGES.one((await self._connection.execute(statement.returning(*usages.c))).one())

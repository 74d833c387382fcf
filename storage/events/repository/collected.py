from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert

from storage.base import Reader, Repository
from storage.events.tables import collected

_COLLECTING = 0x626B726D_00000025
"""The advisory lock of whoever collects events from the log."""


class CollectedReader(Reader):
    """Up to where the log of events of the main database has become events here."""

    async def position(self) -> str | None:
        """A snapshot of the main database; None before the first time."""
        found: str | None = await self._connection.scalar(select(collected.c.snapshot))
        return found


class CollectedRepository(CollectedReader, Repository):
    """The same, to be moved."""

    async def try_lock(self) -> bool:
        """Whether this transaction, and no other until it ends, collects."""
        return bool((await self._connection.execute(select(func.pg_try_advisory_xact_lock(_COLLECTING)))).scalar_one())

    async def move(self, position: str) -> None:
        statement = insert(collected).values(id=1, snapshot=position)
        moving = statement.on_conflict_do_update(index_elements=["id"], set_={"snapshot": position})
        await self._connection.execute(moving)

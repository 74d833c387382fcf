from datetime import datetime
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert

from storage.base import Reader, Repository
from storage.identity.tables.accounts import handles


class HandleReader(Reader):
    """Whose a handle is, or was: it belongs to one account for ever."""

    async def find(self, handle_hash: bytes) -> UUID | None:
        """The account that has the handle, or had it; it may have been deleted."""
        statement = select(handles.c.account_id).where(handles.c.hash == handle_hash)
        found: UUID | None = (await self._connection.execute(statement)).scalar()
        return found

    async def count(self, account_id: UUID) -> int:
        """How many handles an account has and had."""
        statement = select(func.count()).where(handles.c.account_id == account_id)
        return int((await self._connection.execute(statement)).scalar_one())


class HandleRepository(HandleReader, Repository):
    """Whose a handle is, or was."""

    async def take(self, handle_hash: bytes, account_id: UUID, now: datetime) -> UUID:
        """Gives the handle to an account unless another has or had it, and returns whose it is then.

        Of several that take it at the same time, the first does, and the others wait for the end of its transaction.
        """
        new = insert(handles).values(hash=handle_hash, account_id=account_id, create_time=now)
        await self._connection.execute(new.on_conflict_do_nothing())
        found: UUID = (
            await self._connection.execute(select(handles.c.account_id).where(handles.c.hash == handle_hash))
        ).scalar_one()
        return found

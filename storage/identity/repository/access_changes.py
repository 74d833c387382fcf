from collections.abc import Collection
from datetime import datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from storage.base import Records, Repository, insert_json, json_parameter
from storage.frame.records import ChangePage, LogRange
from storage.identity.records import AccessChange
from storage.identity.tables.accounts import access_changes
from storage.log import LogReader

_CHANGE = ("account_id", "create_time")
_CHANGES = Records(AccessChange)
_ADD = insert_json(access_changes, *_CHANGE)


class AccessChangeReader(LogReader):
    """The log of whose standing changed, by which each server forgets what it remembers of them."""

    def __init__(self, connection: AsyncConnection) -> None:
        super().__init__(connection, access_changes)

    async def list_changes(self, log_range: LogRange, limit: int) -> ChangePage[AccessChange]:
        """The first `limit` changes of a stretch, in their order."""
        columns = ("sequence", "account_id")
        rows, last = await self._read(
            log_range, limit, columns, lambda page: select(*(page.c[name] for name in columns))
        )
        return ChangePage(_CHANGES.all(rows), last)


class AccessChangeRepository(AccessChangeReader, Repository):
    """The log of whose standing changed, by which each server forgets what it remembers of them."""

    async def add(self, account_ids: Collection[UUID] | None, now: datetime) -> None:
        """Has all servers look up these accounts anew, once this transaction has committed; None means everyone's."""
        if account_ids is not None and not account_ids:
            return
        rows = ((account_id, now) for account_id in (account_ids if account_ids is not None else [None]))
        await self._connection.execute(_ADD, json_parameter(_CHANGE, rows))

    async def purge(self, before: datetime, limit: int) -> int:
        """Forgets up to so many changes from before a time, and returns how many that were."""
        return await self._delete_before(access_changes.c.create_time, before, limit)

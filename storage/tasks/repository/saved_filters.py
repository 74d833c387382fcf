from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import TypeAdapter
from sqlalchemy import delete, func, insert, select, update

from storage.base import Reader, Records, Repository, latest
from storage.tasks.records import SavedFilter, TaskFilter, TaskOrder
from storage.tasks.tables import saved_filters

_FILTER = TypeAdapter(TaskFilter)
_SAVED_FILTERS = Records(SavedFilter, filter=(_FILTER.validate_python, "filter"), order=TaskOrder)


class SavedFilterReader(Reader):
    """Filters that accounts have saved for themselves."""

    async def list_latest(
        self, account_id: UUID, *, before: tuple[datetime, UUID] | None, limit: int
    ) -> Sequence[SavedFilter]:
        """Those of an account from the latest on, below a key of (create_time, id)."""
        statement = select(saved_filters).where(saved_filters.c.account_id == account_id)
        found = await self._connection.execute(latest(statement, saved_filters, before=before, limit=limit))
        return _SAVED_FILTERS.all(found)


class SavedFilterRepository(SavedFilterReader, Repository):
    """The same, to be changed."""

    async def lock(self, account_id: UUID, filter_id: UUID) -> SavedFilter | None:
        """One of an account, locked until the transaction ends."""
        mine = (saved_filters.c.account_id == account_id) & (saved_filters.c.id == filter_id)
        statement = select(saved_filters).where(mine).with_for_update()
        return _SAVED_FILTERS.first(await self._connection.execute(statement))

    async def count(self, account_id: UUID) -> int:
        statement = select(func.count()).where(saved_filters.c.account_id == account_id)
        return int(await self._connection.scalar(statement) or 0)

    async def add(self, saved: SavedFilter) -> None:
        await self._connection.execute(insert(saved_filters).values(**_row(saved)))

    async def change(self, saved: SavedFilter) -> None:
        """Stores the new values of one that was locked in this transaction."""
        statement = update(saved_filters).where(saved_filters.c.id == saved.id)
        await self._connection.execute(statement.values(**_row(saved)))

    async def remove(self, saved: SavedFilter) -> None:
        await self._connection.execute(delete(saved_filters).where(saved_filters.c.id == saved.id))


def _row(saved: SavedFilter) -> Mapping[str, Any]:
    return {
        "id": saved.id,
        "account_id": saved.account_id,
        "name": saved.name,
        "filter": _FILTER.dump_python(saved.filter, mode="json"),
        "order": saved.order.value,
        "version": saved.version,
        "create_time": saved.create_time,
        "update_time": saved.update_time,
    }

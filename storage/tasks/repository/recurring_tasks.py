from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import delete, func, insert, select, update

from storage.base import Reader, Records, Repository, column_names, latest, row_maker
from storage.tasks.records import RecurringTask, TaskPriority
from storage.tasks.tables import members, recurring_tasks

_RECURRING = Records(RecurringTask, priority=TaskPriority, labels=(tuple, "labels"))
_ROW = row_maker(column_names(recurring_tasks))


class RecurringTaskReader(Reader):
    """What has tasks created again and again."""

    async def find(self, account_id: UUID, recurring_task_id: UUID) -> RecurringTask | None:
        """One of a project that the account is a member of."""
        mine = (members.c.project_id == recurring_tasks.c.project_id) & (members.c.account_id == account_id)
        statement = select(recurring_tasks).join(members, mine).where(recurring_tasks.c.id == recurring_task_id)
        return _RECURRING.first(await self._connection.execute(statement))

    async def list_latest(
        self, project_id: UUID, *, before: tuple[datetime, UUID] | None, limit: int
    ) -> Sequence[RecurringTask]:
        """Those of a project from the latest on, below a key of (create_time, id)."""
        statement = select(recurring_tasks).where(recurring_tasks.c.project_id == project_id)
        found = await self._connection.execute(latest(statement, recurring_tasks, before=before, limit=limit))
        return _RECURRING.all(found)

    async def find_due(self, now: datetime, limit: int) -> Sequence[RecurringTask]:
        """Those by which tasks are to be created by now, the longest due first."""
        statement = select(recurring_tasks).where(recurring_tasks.c.next_time <= now)
        found = await self._connection.execute(statement.order_by(recurring_tasks.c.next_time).limit(limit))
        return _RECURRING.all(found)


class RecurringTaskRepository(RecurringTaskReader, Repository):
    """The same, to be changed while its project is locked."""

    async def lock(self, recurring_task_id: UUID) -> RecurringTask | None:
        """Locked until the transaction ends."""
        statement = select(recurring_tasks).where(recurring_tasks.c.id == recurring_task_id).with_for_update()
        return _RECURRING.first(await self._connection.execute(statement))

    async def count(self, project_id: UUID) -> int:
        statement = select(func.count()).where(recurring_tasks.c.project_id == project_id)
        return int(await self._connection.scalar(statement) or 0)

    async def add(self, recurring: RecurringTask) -> None:
        await self._connection.execute(insert(recurring_tasks).values(**_ROW(recurring)))

    async def change(self, recurring: RecurringTask) -> None:
        """Stores the new values of one that was locked in this transaction."""
        statement = update(recurring_tasks).where(recurring_tasks.c.id == recurring.id)
        await self._connection.execute(statement.values(**_ROW(recurring)))

    async def remove(self, recurring: RecurringTask) -> None:
        await self._connection.execute(delete(recurring_tasks).where(recurring_tasks.c.id == recurring.id))

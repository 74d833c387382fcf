from collections.abc import Collection, Sequence
from uuid import UUID

from sqlalchemy import Integer, bindparam, delete, func, insert, literal, select

from storage.base import Repository
from storage.tasks.tables import blockers, tasks

MOST_WAITED_FOR = 10_000
"""Tasks that one waits for, at any distance, which are looked through for a circle."""

_ABOVE = (
    select(tasks.c.parent_id.label("id"), literal(1, Integer).label("depth"))
    .where(tasks.c.id == bindparam("task"), tasks.c.parent_id.is_not(None))
    .cte("above", recursive=True)
)
_ABOVE = _ABOVE.union_all(
    select(tasks.c.parent_id, _ABOVE.c.depth + 1).where(
        tasks.c.id == _ABOVE.c.id, tasks.c.parent_id.is_not(None), _ABOVE.c.depth < bindparam("most")
    )
)
_ANCESTORS = select(_ABOVE.c.id).order_by(_ABOVE.c.depth)

_BELOW = (
    select(literal(0, Integer).label("depth"), tasks.c.id, tasks.c.project_id)
    .where(tasks.c.id == bindparam("task"))
    .cte("below", recursive=True)
)
_BELOW = _BELOW.union_all(
    select(_BELOW.c.depth + 1, tasks.c.id, tasks.c.project_id).where(
        tasks.c.project_id == _BELOW.c.project_id,
        tasks.c.parent_id == _BELOW.c.id,
        _BELOW.c.depth < bindparam("most"),
    )
)
_HEIGHT = select(func.coalesce(func.max(_BELOW.c.depth), 0))

_AWAITED = (
    select(blockers.c.blocker_id.label("id"))
    .where(blockers.c.blocked_id == bindparam("task"))
    .cte("awaited", recursive=True)
)
# Not UNION ALL: each task is looked at once, however many ways lead to it, and a circle ends.
_AWAITED = _AWAITED.union(select(blockers.c.blocker_id).where(blockers.c.blocked_id == _AWAITED.c.id))
_WAITED_FOR = select(_AWAITED.c.id).limit(MOST_WAITED_FOR + 1)
_BLOCKING = select(func.count()).where(blockers.c.blocker_id == bindparam("task"))


class LinkRepository(Repository):
    """What is above tasks, and what they wait for; read and changed while their project is locked."""

    async def find_existing(self, project_id: UUID, task_ids: Collection[UUID]) -> Collection[UUID]:
        """Those of these tasks that a project has."""
        statement = select(tasks.c.id).where(tasks.c.project_id == project_id, tasks.c.id.in_([*task_ids]))
        return {row.id for row in await self._connection.execute(statement)}

    async def find_ancestors(self, task_id: UUID, most: int) -> Sequence[UUID]:
        """The tasks above a task, the nearest first, up to so many."""
        found = await self._connection.execute(_ANCESTORS, {"task": task_id, "most": most})
        return [row.id for row in found]

    async def find_height(self, task_id: UUID, most: int) -> int:
        """How many tasks are below each other under a task; `most` where they are more."""
        return int(await self._connection.scalar(_HEIGHT, {"task": task_id, "most": most}) or 0)

    async def find_waited_for(self, task_id: UUID) -> Collection[UUID]:
        """All tasks that a task waits for, at any distance; of more than 10,000, one more than that."""
        return {row.id for row in await self._connection.execute(_WAITED_FOR, {"task": task_id})}

    async def count_blocked(self, task_id: UUID) -> int:
        """How many tasks wait for a task."""
        return int(await self._connection.scalar(_BLOCKING, {"task": task_id}) or 0)

    async def set_blockers(
        self, project_id: UUID, task_id: UUID, added: Collection[UUID], removed: Collection[UUID]
    ) -> None:
        """Has a task wait for others, and for some no longer."""
        if removed:
            mine = (blockers.c.blocked_id == task_id) & blockers.c.blocker_id.in_([*removed])
            await self._connection.execute(delete(blockers).where(mine))
        if added:
            rows = [{"project_id": project_id, "blocker_id": each, "blocked_id": task_id} for each in added]
            await self._connection.execute(insert(blockers), rows)

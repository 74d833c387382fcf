from collections.abc import Collection, Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import bindparam, insert, select, update

from storage.base import Reader, Repository, insert_json, json_parameter, json_rows, update_json
from storage.tasks.records import Found, Task, TaskFilter, TaskHead, TaskOrder
from storage.tasks.repository.listing import listing
from storage.tasks.repository.rows import CHANGEABLE, HEADS, STORED, TASKS, TEXTS, only, values_of, whole_tasks
from storage.tasks.repository.searching import matching, understood
from storage.tasks.tables import activities, members, numbers, projects, tasks

_NUMBER = ("project_id", "number", "task_id")
_WITH_TEXTS = (*CHANGEABLE, *TEXTS)

_IDS = json_rows(tasks, "id")
_THESE = tasks.c.id.in_(select(_IDS.c.id))
_LOCK = select(tasks.c.id).where(_THESE).order_by(tasks.c.id).with_for_update(key_share=True)
_FIND = whole_tasks().where(_THESE)
_PROJECTS = select(tasks.c.id, tasks.c.project_id).where(_THESE)
_SEEN = whole_tasks().join(
    members, (members.c.project_id == tasks.c.project_id) & (members.c.account_id == bindparam("account"))
)
_ONE = _SEEN.where(tasks.c.id == bindparam("task"))
_ASKED = json_rows(activities, "task_id", "actor_id", name="asked")
_SEEN_MANY = (
    whole_tasks()
    .add_columns(_ASKED.c.actor_id.label("reader_id"))
    .join(_ASKED, _ASKED.c.task_id == tasks.c.id)
    .join(members, (members.c.project_id == tasks.c.project_id) & (members.c.account_id == _ASKED.c.actor_id))
)
_OF_KEY = (
    select(numbers.c.task_id)
    .join_from(numbers, projects)
    .where(projects.c.key == bindparam("project_key"), numbers.c.number == bindparam("number"))
)
_BY_KEY = _SEEN.where(tasks.c.id == _OF_KEY.scalar_subquery())
_REGISTER = insert_json(numbers, *_NUMBER)
_ADD = insert_json(tasks, *STORED)
_CHANGE = update_json(tasks, *CHANGEABLE)
_CHANGE_TEXTS = update_json(tasks, *_WITH_TEXTS)
_TRANSFER = update_json(tasks, "id", "project_id", "number", "rank", "version", "update_time")
_OF_ASSIGNEE = (
    select(tasks.c.id)
    .where(tasks.c.project_id == bindparam("project"), tasks.c.assignee_id == bindparam("account"))
    .order_by(tasks.c.id)
)
_HAS_PARTS = select(tasks.c.id).where(
    tasks.c.project_id == bindparam("project"), tasks.c.parent_id == bindparam("task")
)


class TaskReader(Reader):
    """Tasks, as they are stored; an account finds those of its projects alone."""

    async def find(self, account_id: UUID, task_id: UUID) -> Task | None:
        return TASKS.first(await self._connection.execute(_ONE, {"account": account_id, "task": task_id}))

    async def find_seen(self, asked: Collection[tuple[UUID, UUID]]) -> Mapping[tuple[UUID, UUID], Task]:
        """Many, each by its id and that of an account which sees it; the others are left out."""
        values = json_parameter(("task_id", "actor_id"), asked, name="asked")
        found = (await self._connection.execute(_SEEN_MANY, values)).all()
        return {(task.id, row.reader_id): task for row, task in zip(found, TASKS.all(found), strict=True)}

    async def find_by_key(self, account_id: UUID, project_key: str, number: int) -> Task | None:
        """The task that has this number of a project, or once had it."""
        key = {"account": account_id, "project_key": project_key, "number": number}
        return TASKS.first(await self._connection.execute(_BY_KEY, key))

    async def list_tasks(
        self, account_id: UUID, wanted: TaskFilter, order: TaskOrder, *, after: tuple[Any, ...] | None, limit: int
    ) -> Sequence[tuple[TaskHead, Task]]:
        """Tasks in an order, starting behind a key of it: its column's value, and the id where that may be equal."""
        statement, values = listing(account_id, wanted, order, after, limit)
        found = (await self._connection.execute(statement, values)).all()
        return list(zip(HEADS.all(found), TASKS.all(found), strict=True))

    async def list_heads(
        self, account_id: UUID, wanted: TaskFilter, order: TaskOrder, *, after: tuple[Any, ...] | None, limit: int
    ) -> Sequence[TaskHead]:
        """The same tasks, each without what it says, for whoever may know that already."""
        statement, values = listing(account_id, wanted, order, after, limit, whole=False)
        return HEADS.all(await self._connection.execute(statement, values))

    async def search(
        self,
        account_id: UUID,
        query: str,
        project_id: UUID | None,
        *,
        after: tuple[float, UUID] | None,
        limit: int,
    ) -> Sequence[Found]:
        """Tasks by words, the most relevant first, starting behind a key of (relevance, id)."""
        asked = (await self._connection.execute(understood(account_id, query, project_id))).first()
        if asked is None or asked.within is None:
            return ()
        found = (await self._connection.execute(matching(asked.words, asked.within, after, limit))).all()
        return [Found(row.relevance, task) for row, task in zip(found, TASKS.all(found), strict=True)]

    async def find_many(self, task_ids: Collection[UUID]) -> Mapping[UUID, Task]:
        """The tasks that exist of these, whoever sees them."""
        found = await self._connection.execute(_FIND, json_parameter(("id",), only(task_ids)))
        return {each.id: each for each in TASKS.all(found)}

    async def find_projects(self, task_ids: Collection[UUID]) -> Mapping[UUID, UUID]:
        """In which projects those tasks are of these that exist."""
        found = await self._connection.execute(_PROJECTS, json_parameter(("id",), only(task_ids)))
        return {row.id: row.project_id for row in found}


class TaskRepository(TaskReader, Repository):
    """Tasks; for the order of locks see `ProjectRepository`."""

    async def add(self, new: Sequence[Task]) -> None:
        """Adds tasks under their numbers; not their blockers."""
        rows = [(task.project_id, task.number, task.id) for task in new]
        await self._connection.execute(_REGISTER, json_parameter(_NUMBER, rows))
        await self._connection.execute(_ADD, json_parameter(STORED, values_of(STORED, new)))

    async def lock_many(self, task_ids: Collection[UUID]) -> Mapping[UUID, Task]:
        """The tasks that exist of these, locked in key order until the transaction ends."""
        await self._connection.execute(_LOCK, json_parameter(("id",), only(task_ids)))
        # What they are linked with is read once they are locked: a statement that waits sees what was before.
        return await self.find_many(task_ids)

    async def change(self, changed: Sequence[Task], *, texts: bool) -> None:
        """Stores the new values of tasks that were locked in this transaction, and with `texts` their texts, too.

        Not their projects and numbers, nor their blockers.
        """
        if not changed:
            return
        names, statement = (_WITH_TEXTS, _CHANGE_TEXTS) if texts else (CHANGEABLE, _CHANGE)
        await self._connection.execute(statement, json_parameter(names, values_of(names, changed)))

    async def set_parent(self, task_id: UUID, parent_id: UUID | None) -> None:
        await self._connection.execute(update(tasks).where(tasks.c.id == task_id).values(parent_id=parent_id))

    async def transfer(self, moved: Task) -> None:
        """Stores a task's new project, number and rank; its former number goes on leading to it."""
        register = insert(numbers).values(project_id=moved.project_id, number=moved.number, task_id=moved.id)
        await self._connection.execute(register)
        names = ("id", "project_id", "number", "rank", "version", "update_time")
        row = tuple(getattr(moved, name) for name in names)
        await self._connection.execute(_TRANSFER, json_parameter(names, [row]))

    async def find_assigned(self, project_id: UUID, account_id: UUID) -> Sequence[UUID]:
        """Which tasks of a project are assigned to an account, in key order."""
        key = {"project": project_id, "account": account_id}
        return [row.id for row in await self._connection.execute(_OF_ASSIGNEE, key)]

    async def has_parts(self, project_id: UUID, task_id: UUID) -> bool:
        """Whether other tasks are parts of a task."""
        key = {"project": project_id, "task": task_id}
        return (await self._connection.execute(_HAS_PARTS.limit(1), key)).first() is not None

"""Lists of tasks, in every order: each page is read by an index, and costs as much as it is long."""

from collections.abc import Iterator, Mapping
from typing import Any
from uuid import UUID

from sqlalchemy import ARRAY, ColumnElement, Select, Text, cast, select, true, tuple_

from storage.tasks.records import TaskFilter, TaskOrder
from storage.tasks.repository.rows import whole_tasks
from storage.tasks.tables import members, tasks

_KEYS: Mapping[TaskOrder, tuple[str, ...]] = {
    TaskOrder.RANK: ("rank",),
    TaskOrder.NUMBER: ("number", "id"),
    TaskOrder.CREATE_TIME: ("create_time", "id"),
    TaskOrder.UPDATE_TIME: ("update_time", "id"),
    TaskOrder.DUE_TIME: ("due_time", "id"),
    TaskOrder.PRIORITY: ("priority", "id"),
}
_DESCENDING = frozenset({TaskOrder.CREATE_TIME, TaskOrder.UPDATE_TIME, TaskOrder.PRIORITY})


def one_project(
    account_id: UUID, wanted: TaskFilter, order: TaskOrder, after: tuple[Any, ...] | None, limit: int
) -> Select[Any]:
    """A page of one project's tasks; of none, where the account is no member."""
    mine = (members.c.project_id == wanted.project_id) & (members.c.account_id == account_id)
    statement = whole_tasks().where(
        tasks.c.project_id == wanted.project_id, select(members.c.role).where(mine).exists(), *_conditions(wanted)
    )
    return _page(statement, tasks, order, after, limit)


def all_projects(
    account_id: UUID, wanted: TaskFilter, order: TaskOrder, after: tuple[Any, ...] | None, limit: int
) -> Select[Any]:
    """A page of an account's tasks: of each of its projects as many as may be on the page, and the first of these."""
    key = _KEYS[order]
    mine = select(members.c.project_id).where(members.c.account_id == account_id).subquery("mine")
    each = select(tasks.c.id, *(tasks.c[name] for name in key if name != "id"))
    each = each.where(tasks.c.project_id == mine.c.project_id, *_conditions(wanted))
    first = _page(each, tasks, order, after, limit).lateral("first")
    page = _page(select(first).select_from(mine).join(first, true()), first, order, None, limit).subquery("page")
    return _page(whole_tasks().join(page, page.c.id == tasks.c.id), tasks, order, None, limit)


def _page(
    statement: Select[Any], rows: Any, order: TaskOrder, after: tuple[Any, ...] | None, limit: int
) -> Select[Any]:
    columns = [rows.c[name] for name in _KEYS[order]]
    descending = order in _DESCENDING
    if after is not None:
        key = tuple_(*columns)
        statement = statement.where(key < after if descending else key > after)
    return statement.order_by(*(column.desc() if descending else column for column in columns)).limit(limit)


def _conditions(wanted: TaskFilter) -> Iterator[ColumnElement[bool]]:
    yield from _of_kind(wanted)
    if wanted.labels:
        yield tasks.c.labels.bool_op("@>")(cast(list(wanted.labels), ARRAY(Text)))
    if wanted.due_start_time is not None:
        yield tasks.c.due_time >= wanted.due_start_time
    if wanted.due_end_time is not None:
        yield tasks.c.due_time < wanted.due_end_time


def _of_kind(wanted: TaskFilter) -> Iterator[ColumnElement[bool]]:
    if wanted.states:
        yield tasks.c.state.in_([state.value for state in wanted.states])
    if wanted.priorities:
        yield tasks.c.priority.in_([priority.value for priority in wanted.priorities])
    if wanted.assignee_id is not None or wanted.unassigned:
        yield tasks.c.assignee_id == wanted.assignee_id
    if wanted.parent_id is not None or wanted.top_level:
        yield tasks.c.parent_id == wanted.parent_id

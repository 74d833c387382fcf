"""Lists of tasks, in every order: each page is read by an index, and costs as much as it is long."""

from collections.abc import Mapping
from dataclasses import fields
from functools import lru_cache
from typing import Any, TypeAlias
from uuid import UUID

from sqlalchemy import ARRAY, ColumnElement, Select, SmallInteger, Text, any_, bindparam, select, true, tuple_

from storage.tasks.records import TaskFilter, TaskOrder
from storage.tasks.repository.rows import ROW_VERSION, heads_of_tasks, whole_tasks
from storage.tasks.tables import members, tasks

Listing: TypeAlias = tuple[Select[*tuple[Any, ...]], Mapping[str, Any]]
"""A statement and its values."""

_KEYS: Mapping[TaskOrder, tuple[str, ...]] = {
    TaskOrder.RANK: ("rank",),
    TaskOrder.NUMBER: ("number", "id"),
    TaskOrder.CREATE_TIME: ("create_time", "id"),
    TaskOrder.UPDATE_TIME: ("update_time", "id"),
    TaskOrder.DUE_TIME: ("due_time", "id"),
    TaskOrder.PRIORITY: ("priority", "id"),
}
_DESCENDING = frozenset({TaskOrder.CREATE_TIME, TaskOrder.UPDATE_TIME, TaskOrder.PRIORITY})
_ACCOUNT: Any = bindparam("account", type_=members.c.account_id.type)
_MOST: Any = bindparam("most")
_CONDITIONS: Mapping[str, ColumnElement[bool]] = {
    "project_id": tasks.c.project_id == bindparam("project_id"),
    "state": tasks.c.state == bindparam("state"),
    "states": tasks.c.state == any_(bindparam("states", type_=ARRAY(Text))),
    "priorities": tasks.c.priority == any_(bindparam("priorities", type_=ARRAY(SmallInteger))),
    "assignee_id": tasks.c.assignee_id == bindparam("assignee_id"),
    "unassigned": tasks.c.assignee_id.is_(None),
    "labels": tasks.c.labels.bool_op("@>")(bindparam("labels", type_=ARRAY(Text))),
    "parent_id": tasks.c.parent_id == bindparam("parent_id"),
    "top_level": tasks.c.parent_id.is_(None),
    "due_start_time": tasks.c.due_time >= bindparam("due_start_time"),
    "due_end_time": tasks.c.due_time < bindparam("due_end_time"),
}
"""By the fields of a filter; `state` is the only one of its states, of which an index has the tasks in their order."""
_FLAGS = frozenset({"unassigned", "top_level"})


def listing(
    account_id: UUID,
    wanted: TaskFilter,
    order: TaskOrder,
    after: tuple[Any, ...] | None,
    limit: int,
    *,
    whole: bool = True,
) -> Listing:
    """A page of an account's tasks, of all of its projects or of one; of none, where it is no member of that.

    They have their heads, and the rest with `whole`.
    """
    given = {each.name: value for each in fields(wanted) if (value := getattr(wanted, each.name))}
    if len(wanted.states) == 1:
        given["state"] = given.pop("states")[0].value
    make = _one_project if "project_id" in given else _all_projects
    values = {name: _plain(value) for name, value in given.items() if name not in _FLAGS}
    keys = {f"after_{place}": value for place, value in enumerate(after or ())}
    statement = make(order, frozenset(given), paged=after is not None, whole=whole)
    return statement, {"account": account_id, "most": limit, **values, **keys}


def _plain(value: Any) -> Any:
    return [getattr(each, "value", each) for each in value] if isinstance(value, tuple) else value


@lru_cache(256)  # to build a statement takes longer than to execute it
def _one_project(order: TaskOrder, given: frozenset[str], *, paged: bool, whole: bool) -> Select[*tuple[Any, ...]]:
    mine = (members.c.project_id == bindparam("project_id")) & (members.c.account_id == _ACCOUNT)
    statement = _columns(order, whole=whole).where(select(members.c.role).where(mine).exists(), *_of(given))
    return _page(statement, tasks, order, paged=paged)


@lru_cache(256)
def _all_projects(order: TaskOrder, given: frozenset[str], *, paged: bool, whole: bool) -> Select[*tuple[Any, ...]]:
    """Of each project as many as may be on the page, and the first of these."""
    key = _KEYS[order]
    mine = select(members.c.project_id).where(members.c.account_id == _ACCOUNT).subquery("mine")
    each = select(tasks.c.id, *(tasks.c[name] for name in key if name != "id"))
    each = each.where(tasks.c.project_id == mine.c.project_id, *_of(given))
    first = _page(each, tasks, order, paged=paged).lateral("first")
    page = _page(select(first).select_from(mine).join(first, true()), first, order, paged=False).subquery("page")
    found = _columns(order, whole=whole).join_from(tasks, page, page.c.id == tasks.c.id)
    return _page(found, tasks, order, paged=False)


def _columns(order: TaskOrder, *, whole: bool) -> Select[*tuple[Any, ...]]:
    place = tasks.c[_KEYS[order][0]].label("place")
    return whole_tasks().add_columns(ROW_VERSION, place) if whole else heads_of_tasks().add_columns(place)


def _of(given: frozenset[str]) -> list[ColumnElement[bool]]:
    return [_CONDITIONS[name] for name in sorted(given)]


def _page(statement: Any, rows: Any, order: TaskOrder, *, paged: bool) -> Select[*tuple[Any, ...]]:
    columns = [rows.c[name] for name in _KEYS[order]]
    descending = order in _DESCENDING
    if paged:
        key = tuple_(*columns)
        after = tuple_(*(bindparam(f"after_{place}", type_=each.type) for place, each in enumerate(columns)))
        statement = statement.where(key < after if descending else key > after)
    ordered = statement.order_by(*(column.desc() if descending else column for column in columns))
    page: Select[*tuple[Any, ...]] = ordered.limit(_MOST)
    return page

"""Rows of tasks as records, and back."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select, func, literal_column, select

from storage.base import Records, column_names, values_getter
from storage.tasks.records import NO_DUE_TIME, CustomFieldType, CustomValue, Task, TaskHead, TaskPriority, TaskState
from storage.tasks.tables import blockers, projects, tasks


def _due_time(kept: datetime) -> datetime | None:
    return None if kept == NO_DUE_TIME else kept


def _custom_values(kept: Sequence[Mapping[str, Any]]) -> tuple[CustomValue, ...]:
    return tuple(CustomValue(each["key"], CustomFieldType(each["type"]), each["value"]) for each in kept)


TASKS = Records(
    Task,
    state=TaskState,
    priority=TaskPriority,
    due_time=(_due_time, "due_time"),
    labels=(tuple, "labels"),
    blocked_by=(tuple, "blocked_by"),
    blocking=(tuple, "blocking"),
    custom_values=(_custom_values, "custom_values"),
)

HEADS = Records(TaskHead, state=(lambda *state: state, "row_version", "update_time", "blocking"))

STORED = tuple(name for name in column_names(tasks) if name != "search")
"""The columns that are written."""
TEXTS = ("title", "description")
"""Those whose words are searched: to write them has the words found anew."""
CHANGEABLE = (
    *("id", "state", "priority", "assignee_id", "due_time", "labels", "parent_id", "custom_values", "rank"),
    *("version", "update_time"),
)


def values_of(names: tuple[str, ...], changed: Iterable[Task]) -> Iterable[tuple[object, ...]]:
    """The values of these columns, in their order, of each task."""
    place = names.index("due_time")
    take = values_getter([name for name in names if name != "due_time"])
    for task in changed:
        rest = take(task)
        yield (*rest[:place], task.due_time or NO_DUE_TIME, *rest[place:])


def _linked(here: Any, there: Any) -> Any:
    ids = select(there).where(here == tasks.c.id).order_by(there)
    return func.array(ids.scalar_subquery())


BLOCKED_BY = _linked(blockers.c.blocked_id, blockers.c.blocker_id).label("blocked_by")
BLOCKING = _linked(blockers.c.blocker_id, blockers.c.blocked_id).label("blocking")

# By which PostgreSQL tells one version of a row from another: it changes with every column, also by statements that are
# no change of the task, as where ranks are renewed. After a failover that lost the last transactions, another one can
# have the same number, but not the same time.
ROW_VERSION: ColumnElement[Any] = literal_column("tasks.tasks.xmin").label("row_version")


def heads_of_tasks() -> Select[Any]:
    """The states of tasks. What is not in their rows is the others that wait for them: those that they wait for, and
    the project's key, do not change without the row."""
    return select(tasks.c.id, ROW_VERSION, tasks.c.update_time, BLOCKING)


def whole_tasks() -> Select[Any]:
    """Tasks with what a record has beside their own columns."""
    own = [tasks.c[name] for name in STORED]
    return select(*own, projects.c.key.label("project_key"), BLOCKED_BY, BLOCKING).join_from(
        tasks, projects, projects.c.id == tasks.c.project_id
    )


def only(ids: Iterable[UUID]) -> Iterable[tuple[UUID]]:
    return ((each,) for each in ids)

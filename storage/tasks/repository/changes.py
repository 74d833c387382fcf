from collections.abc import Mapping
from typing import Any

import orjson
from pydantic import TypeAdapter
from sqlalchemy import CTE, JSON, Row, Select, Uuid, cast, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from storage.frame.records import ChangePage, LogRange
from storage.frame.tables import events
from storage.log import LogReader
from storage.tasks.records import ActivityKind, Comment, Task, TaskAudience, TaskChange, TimeEntry
from storage.tasks.tables import members

_EVENT = ("sequence", "type", "data")

_SUBJECTS: Mapping[str, TypeAdapter[Any]] = {
    "task": TypeAdapter(Task),
    "comment": TypeAdapter(Comment),
    "time_entry": TypeAdapter(TimeEntry),
}
"""What an event holds the state of, by its name there."""


class TaskChangeReader(LogReader):
    """What happened to tasks, from the log of events."""

    def __init__(self, connection: AsyncConnection) -> None:
        super().__init__(connection, events, events.c.type.like("task.%"))

    async def list_changes(self, log_range: LogRange, limit: int, audience: TaskAudience) -> ChangePage[TaskChange]:
        """The changes among the first `limit` of a range that an audience gets, as its memberships are now."""

        def visible(page: CTE) -> Select[Any]:
            project_id = cast(cast(page.c.data, JSON)["project_id"].as_string(), Uuid)
            who = select(members.c.account_id).where(members.c.project_id == project_id)
            accounts = func.array(who.scalar_subquery())
            statement = select(page, project_id.label("project_id"), accounts.label("accounts"))
            if audience.account_id is not None:
                statement = statement.where(who.where(members.c.account_id == audience.account_id).exists())
            if audience.project_id is not None:
                statement = statement.where(project_id == audience.project_id)
            return statement

        found, last = await self._read(log_range, limit, _EVENT, visible)
        return ChangePage([_change(row) for row in found], last)


def _change(row: Row[Any]) -> TaskChange:
    data = orjson.loads(row.data)
    name = next(name for name in _SUBJECTS if name in data)
    subject = _SUBJECTS[name].validate_python(data[name])
    kind, accounts = ActivityKind(row.type), frozenset(row.accounts)
    return TaskChange(row.sequence, kind, row.project_id, subject, accounts)

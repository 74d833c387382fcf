from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import select

from storage.base import Reader, Records, Repository, column_names, insert_json, json_parameter, latest, values_getter
from storage.tasks.records import Activity, ActivityKind, FieldChange
from storage.tasks.tables import activities

_ACTIVITY = column_names(activities)


def _changes(kept: Sequence[Mapping[str, Any]]) -> tuple[FieldChange, ...]:
    return tuple(FieldChange(**each) for each in kept)


_ACTIVITIES = Records(Activity, kind=ActivityKind, changes=(_changes, "changes"))
_PLACE = _ACTIVITY.index("changes")
_VALUES = values_getter(_ACTIVITY)
_ADD = insert_json(activities, *_ACTIVITY)


class ActivityReader(Reader):
    """What was changed, and by whom."""

    async def list_latest(
        self,
        *,
        project_id: UUID | None = None,
        task_id: UUID | None = None,
        before: tuple[datetime, UUID] | None,
        limit: int,
    ) -> Sequence[Activity]:
        """The entries of a project, or of a task, from the latest on, below a key of (create_time, id)."""
        mine = activities.c.task_id == task_id if task_id else activities.c.project_id == project_id
        statement = latest(select(activities).where(mine), activities, before=before, limit=limit)
        return _ACTIVITIES.all(await self._connection.execute(statement))


class ActivityRepository(ActivityReader, Repository):
    """The same, to be added to."""

    async def add(self, new: Sequence[Activity]) -> None:
        if not new:
            return
        rows = []
        for activity in new:
            values = list(_VALUES(activity))
            values[_PLACE] = [asdict(change) for change in activity.changes]
            rows.append(values)
        await self._connection.execute(_ADD, json_parameter(_ACTIVITY, rows))

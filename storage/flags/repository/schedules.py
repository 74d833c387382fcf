from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import select, update

from storage.base import (
    Reader,
    Records,
    Repository,
    column_names,
    insert_json,
    json_parameter,
    latest,
    row_maker,
    values_getter,
)
from storage.flags.records import Schedule, ScheduleState
from storage.flags.tables import schedules

_COLUMNS = column_names(schedules)
_SCHEDULES = Records(Schedule, state=ScheduleState, take_times=tuple)
_ADD = insert_json(schedules, *_COLUMNS)
_NEW = values_getter(_COLUMNS)
_CHANGED = row_maker(("take_times", "next_time", "state", "error", "update_time"))


class ScheduleReader(Reader):
    """Changes to come, and those that came."""

    async def find(self, schedule_id: UUID) -> Schedule | None:
        return _SCHEDULES.first(await self._connection.execute(select(schedules).where(schedules.c.id == schedule_id)))

    async def list_latest(
        self,
        flag_set_id: str,
        *,
        flag_key: str = "",
        state: ScheduleState | None = None,
        before: tuple[datetime, UUID] | None,
        limit: int,
    ) -> Sequence[Schedule]:
        """Schedules of a set from the latest on, starting below a key of (create_time, id); of one flag where named."""
        statement = select(schedules).where(schedules.c.flag_set_id == flag_set_id)
        if flag_key:
            statement = statement.where(schedules.c.flag_key == flag_key)
        if state is not None:
            statement = statement.where(schedules.c.state == state)
        statement = latest(statement, schedules, before=before, limit=limit)
        return _SCHEDULES.all(await self._connection.execute(statement))


class ScheduleRepository(ScheduleReader, Repository):
    """Makes schedules, and takes their steps."""

    async def add(self, schedule: Schedule) -> None:
        await self._connection.execute(_ADD, json_parameter(_COLUMNS, [_NEW(schedule)]))

    async def lock(self, schedule_id: UUID) -> Schedule | None:
        """The schedule, locked until the transaction ends."""
        statement = select(schedules).where(schedules.c.id == schedule_id).with_for_update(key_share=True)
        return _SCHEDULES.first(await self._connection.execute(statement))

    async def lock_due(self, now: datetime) -> Schedule | None:
        """The schedule whose step is due for the longest time, locked; not those that others have locked."""
        due = (schedules.c.state == ScheduleState.ACTIVE) & (schedules.c.next_time <= now)
        statement = select(schedules).where(due).order_by(schedules.c.next_time).limit(1)
        locking = statement.with_for_update(key_share=True, skip_locked=True)
        return _SCHEDULES.first(await self._connection.execute(locking))

    async def change(self, changed: Schedule) -> None:
        """Stores the new values of a schedule that was locked in this transaction."""
        values = _CHANGED(changed)
        statement = update(schedules).where(schedules.c.id == changed.id)
        await self._connection.execute(statement.values({**values, "take_times": list(values["take_times"])}))

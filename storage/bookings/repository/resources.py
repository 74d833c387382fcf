from collections.abc import Collection, Mapping, Sequence
from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import insert, select, update

from storage.base import (
    Reader,
    Records,
    Repository,
    column_names,
    json_parameter,
    json_rows,
    latest,
    row_maker,
    update_json,
)
from storage.bookings.records import DayHours, DayPeriod, Holiday, Resource, WeeklyPeriod
from storage.bookings.tables import resources

_PLAIN = tuple(name for name in column_names(resources) if name not in ("number", "hours"))
_CHOSEN = ("id", "choose_time")


def _weekly(hours: Mapping[str, Any]) -> tuple[WeeklyPeriod, ...]:
    return tuple(WeeklyPeriod(weekday, DayPeriod(*period)) for weekday, *period in hours["weekly"])


def _exceptions(hours: Mapping[str, Any]) -> tuple[DayHours, ...]:
    return tuple(
        DayHours(date.fromisoformat(day), tuple(DayPeriod(*each) for each in periods))
        for day, periods in hours["exceptions"]
    )


def _holidays(hours: Mapping[str, Any]) -> tuple[Holiday, ...]:
    return tuple(Holiday(*each) for each in hours["holidays"])


_RESOURCES = Records(
    Resource, opening_hours=(_weekly, "hours"), exceptions=(_exceptions, "hours"), holidays=(_holidays, "hours")
)
_ROW = row_maker(_PLAIN)
_FIND = select(resources).where(resources.c.id.in_(select(json_rows(resources, "id").c.id)))
_LOCK = _FIND.order_by(resources.c.id).with_for_update(key_share=True)
_MARK_CHOSEN = update_json(resources, *_CHOSEN)


class ResourceReader(Reader):
    """Resources, as they are stored."""

    async def find_many(self, resource_ids: Collection[UUID]) -> Mapping[UUID, Resource]:
        """The resources that exist of these."""
        found = await self._connection.execute(_FIND, _ids(resource_ids))
        return {each.id: each for each in _RESOURCES.all(found)}

    async def find(self, resource_id: UUID) -> Resource | None:
        return (await self.find_many([resource_id])).get(resource_id)

    async def list_latest(
        self, *, before: tuple[datetime, UUID] | None, limit: int, archived: bool
    ) -> Sequence[Resource]:
        """Resources from the latest on, below a key of (create_time, id); the archived ones too where requested."""
        statement = latest(select(resources), resources, before=before, limit=limit)
        if not archived:
            statement = statement.where(resources.c.archived.is_(False))
        return _RESOURCES.all(await self._connection.execute(statement))


class ResourceRepository(ResourceReader, Repository):
    """What can be booked.

    Whoever makes, moves or ends bookings locks their resources first, all of them in key order: so no two wait for each
    other, and what is read of a resource afterwards stays until the transaction ends.
    """

    async def add(self, resource: Resource) -> int:
        """Adds a resource, and returns the number that it is known by."""
        statement = insert(resources).values(**_row(resource)).returning(resources.c.number)
        return int((await self._connection.execute(statement)).scalar_one())

    async def change(self, resource: Resource) -> None:
        """Stores the new values of a resource that was locked in this transaction."""
        statement = update(resources).where(resources.c.id == resource.id).values(**_row(resource))
        await self._connection.execute(statement)

    async def lock_many(self, resource_ids: Collection[UUID]) -> Mapping[UUID, Resource]:
        """The resources that exist of these, locked in key order until the transaction ends."""
        if not resource_ids:
            return {}
        found = await self._connection.execute(_LOCK, _ids(resource_ids))
        return {each.id: each for each in _RESOURCES.all(found)}

    async def mark_chosen(self, chosen: Mapping[UUID, datetime]) -> None:
        """Keeps when resources were last chosen from among others."""
        if chosen:
            await self._connection.execute(_MARK_CHOSEN, json_parameter(_CHOSEN, chosen.items()))


def _ids(resource_ids: Collection[UUID]) -> dict[str, str]:
    return json_parameter(("id",), ((resource_id,) for resource_id in resource_ids))


def _row(resource: Resource) -> Mapping[str, Any]:
    hours = {
        "weekly": [[each.weekday, each.period.opens, each.period.closes] for each in resource.opening_hours],
        "exceptions": [
            [each.date.isoformat(), [[period.opens, period.closes] for period in each.periods]]
            for each in resource.exceptions
        ],
        "holidays": [[each.year, each.month, each.day, each.name] for each in resource.holidays],
    }
    return {**_ROW(resource), "hours": hours}

"""Meters, as they are declared."""

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy import delete, func, insert, select, update

from storage.base import Reader, Records, Repository
from storage.events.measures import Measure, Meter
from storage.events.tables import meters

_MEASURE = TypeAdapter(Measure)
_METERS = Records(Meter, measure=(_MEASURE.validate_python, "measure"), group_by=tuple)


class MeterReader(Reader):
    """Meters by their names."""

    async def find(self, name: str) -> Meter | None:
        return _METERS.first(await self._connection.execute(select(meters).where(meters.c.name == name)))

    async def list_by_name(self, *, after: str | None, limit: int | None = None) -> Sequence[Meter]:
        """Behind a name, in the order of their bytes."""
        statement = select(meters).order_by(meters.c.name).limit(limit)
        if after is not None:
            statement = statement.where(meters.c.name > after)
        return _METERS.all(await self._connection.execute(statement))

    async def count(self) -> int:
        return int(await self._connection.scalar(select(func.count()).select_from(meters)) or 0)


class MeterRepository(MeterReader, Repository):
    """The same, to be changed."""

    async def lock(self, name: str) -> Meter | None:
        """The meter of a name, locked until the transaction ends."""
        statement = select(meters).where(meters.c.name == name).with_for_update()
        return _METERS.first(await self._connection.execute(statement))

    async def add(self, meter: Meter) -> None:
        """Raises AlreadyExists where there is one of this name."""
        await self._connection.execute(insert(meters).values(**_row(meter)))

    async def change(self, meter: Meter) -> None:
        """Stores the new values of one that was locked in this transaction."""
        await self._connection.execute(update(meters).where(meters.c.id == meter.id).values(**_row(meter)))

    async def remove(self, meter: Meter) -> None:
        await self._connection.execute(delete(meters).where(meters.c.id == meter.id))


def _row(meter: Meter) -> Mapping[str, Any]:
    return {
        "id": meter.id,
        "name": meter.name,
        "description": meter.description,
        "measure": _MEASURE.dump_python(meter.measure, mode="json"),
        "group_by": list(meter.group_by),
        "version": meter.version,
        "create_time": meter.create_time,
        "update_time": meter.update_time,
    }

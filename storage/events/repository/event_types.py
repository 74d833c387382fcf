from collections.abc import Sequence

from sqlalchemy import BigInteger, cast, delete, func, insert, select, update
from sqlalchemy.dialects.postgresql import insert as upsert

from storage.base import Reader, Records, Repository, column_names, row_maker
from storage.events.records import EventType, SchemaMode
from storage.events.tables import configuration, event_types

EVENT_TYPES = "event_types"
"""The part of the configuration."""

_COLUMNS = column_names(event_types)
_ROW = row_maker(_COLUMNS)
_TYPES = Records(EventType, mode=SchemaMode)


class ConfigurationReader(Reader):
    """The version of each part of what is declared: what was read of it holds until that is another number."""

    async def version(self, part: str) -> int:
        """0 before the first change."""
        statement = select(configuration.c.version).where(configuration.c.part == part)
        return (await self._connection.execute(statement)).scalar() or 0


class ConfigurationRepository(ConfigurationReader, Repository):
    """The same, to be advanced by the transaction of each change: other changes of the part wait for its end."""

    async def advance(self, part: str) -> None:
        """To the time, in microseconds since 1970: a number that no change had, also one that was lost by a restore."""
        now = cast(func.extract("epoch", func.clock_timestamp()) * 1_000_000, BigInteger)
        row = upsert(configuration).values(part=part, version=now)
        later = func.greatest(configuration.c.version + 1, row.excluded.version)
        await self._connection.execute(row.on_conflict_do_update(index_elements=["part"], set_={"version": later}))


class EventTypeReader(Reader):
    """The declared types."""

    async def find(self, type: str) -> EventType | None:  # noqa: A002 - CloudEvents calls it so
        statement = select(event_types).where(event_types.c.type == type)
        return _TYPES.first(await self._connection.execute(statement))

    async def list_all(self) -> Sequence[EventType]:
        return _TYPES.all(await self._connection.execute(select(event_types)))

    async def list_by_type(self, *, after: str | None, limit: int) -> Sequence[EventType]:
        """A page by name, in ASCII order, starting behind a name."""
        statement = select(event_types).order_by(event_types.c.type).limit(limit)
        if after is not None:
            statement = statement.where(event_types.c.type > after)
        return _TYPES.all(await self._connection.execute(statement))


class EventTypeRepository(EventTypeReader, Repository):
    """The declared types."""

    async def count(self) -> int:
        return (await self._connection.execute(select(func.count()).select_from(event_types))).scalar_one()

    async def lock(self, type: str) -> EventType | None:  # noqa: A002 - CloudEvents calls it so
        statement = select(event_types).where(event_types.c.type == type).with_for_update()
        return _TYPES.first(await self._connection.execute(statement))

    async def add(self, event_type: EventType) -> None:
        """Raises AlreadyExists where the type is declared."""
        await self._connection.execute(insert(event_types).values(_ROW(event_type)))

    async def change(self, event_type: EventType) -> None:
        statement = update(event_types).where(event_types.c.type == event_type.type)
        await self._connection.execute(statement.values(_ROW(event_type)))

    async def delete(self, type: str) -> None:  # noqa: A002 - CloudEvents calls it so
        await self._connection.execute(delete(event_types).where(event_types.c.type == type))

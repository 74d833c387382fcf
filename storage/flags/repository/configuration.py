from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, cast, func, literal, select
from sqlalchemy.dialects.postgresql import insert

from storage.base import Reader, Repository, insert_json, json_parameter
from storage.flags.records import CHANNEL, Configuration, FlagSet
from storage.flags.repository.rows import FLAGS, SEGMENTS, SET_COLUMNS, SETS
from storage.flags.tables import configuration, flag_sets, flags, segments

_MICROSECONDS = 1_000_000
_NEW_SET = insert_json(flag_sets, *SET_COLUMNS).on_conflict_do_nothing(index_elements=["id"]).returning(flag_sets.c.id)


class ConfigurationReader(Reader):
    """All flags, segments and sets together, as servers keep them in memory."""

    async def version(self) -> int:
        """The configuration version; 0 before the first change."""
        found = await self._connection.execute(select(configuration.c.version))
        return found.scalar() or 0

    async def since(self, version: int) -> Configuration:
        """What changed above a configuration version, archived flags and segments among it; all of it above 0.

        To be asked in a reading whose statements see one moment. Versions commit in their order, so that nothing
        below the newest one that is seen comes later.
        """
        newest = await self.version()
        if newest <= version:
            return Configuration(newest, [], [], [])
        changed = [
            await self._connection.execute(select(table).where(table.c.configuration_version > version))
            for table in (flags, segments, flag_sets)
        ]
        return Configuration(newest, FLAGS.all(changed[0]), SEGMENTS.all(changed[1]), SETS.all(changed[2]))

    async def find_set(self, flag_set_id: str) -> FlagSet | None:
        return SETS.first(await self._connection.execute(select(flag_sets).where(flag_sets.c.id == flag_set_id)))

    async def list_sets(self, *, after: str | None, limit: int) -> Sequence[FlagSet]:
        """Flag sets by id, starting behind one."""
        statement = select(flag_sets)
        if after is not None:
            statement = statement.where(flag_sets.c.id > after)
        return SETS.all(await self._connection.execute(statement.order_by(flag_sets.c.id).limit(limit)))

    async def count_sets(self) -> int:
        return (await self._connection.execute(select(func.count()).select_from(flag_sets))).scalar_one()


class ConfigurationRepository(ConfigurationReader, Repository):
    """The configuration version, and the flag sets.

    Whoever changes a flag, a segment or a set calls `advance` first, which is the only lock that there is: until the
    transaction ends, nobody else changes any of them.
    """

    async def advance(self, now: datetime) -> int:
        """Begins a change: returns its configuration version, which is told to all servers as the change commits.

        It never goes back, not even where the database was restored from a copy: it is at least the microseconds since
        1970, by the database's clock.
        """
        by_clock = cast(func.extract("epoch", func.clock_timestamp()) * _MICROSECONDS, BigInteger)
        first = insert(configuration).values(id=1, version=by_clock, update_time=now)
        later = {"version": func.greatest(configuration.c.version + 1, by_clock), "update_time": now}
        statement = first.on_conflict_do_update(index_elements=["id"], set_=later)
        version = int((await self._connection.execute(statement.returning(configuration.c.version))).scalar_one())
        await self._connection.execute(select(func.pg_notify(literal(CHANNEL), literal(str(version)))))
        return version

    async def make_set(self, flag_set_id: str, version: int, now: datetime) -> bool:
        """Makes a flag set of which nothing is said, unless it is there; returns whether it is new."""
        new = FlagSet(flag_set_id, {}, "", 1, now, now)
        found = await self._connection.execute(_NEW_SET, json_parameter(SET_COLUMNS, [_row(new, version)]))
        return found.scalar() is not None

    async def put_set(self, flag_set: FlagSet, version: int) -> None:
        """Stores a flag set, new or not, at a configuration version."""
        values = dict(zip(SET_COLUMNS, _row(flag_set, version), strict=True))
        statement = insert(flag_sets).values(values)
        changed = {name: each for name, each in values.items() if name not in ("id", "create_time")}
        await self._connection.execute(statement.on_conflict_do_update(index_elements=["id"], set_=changed))


def _row(flag_set: FlagSet, version: int) -> Sequence[Any]:
    return [version if name == "configuration_version" else getattr(flag_set, name) for name in SET_COLUMNS]

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
_MAX_EARLIER = 100
"""How many versions a server may be behind and still read only what changed."""
_NEW_SET = insert_json(flag_sets, *SET_COLUMNS).on_conflict_do_nothing(index_elements=["id"]).returning(flag_sets.c.id)


class ConfigurationReader(Reader):
    """All flags, segments and sets together, as servers hold them in memory."""

    async def version(self) -> int:
        """The configuration version; 0 before the first change."""
        found = await self._connection.execute(select(configuration.c.version))
        return found.scalar() or 0

    async def since(self, version: int) -> Configuration:
        """What changed after a configuration version, including archived flags and segments.

        Complete after 0, and after a version that is not among the latest of this database: it may be of another
        history, which a restored backup or a promoted standby does not have.

        Requires a reading whose statements all see the same moment. Versions commit in their order, so nothing below
        the newest version seen is committed later.
        """
        columns = (configuration.c.version, configuration.c.earlier_versions)
        found = (await self._connection.execute(select(*columns))).first()
        newest, earlier = (found.version, found.earlier_versions) if found else (0, [])
        if newest == version:
            return Configuration(newest, [], [], [])
        known = version if version in earlier else 0
        changed = [
            await self._connection.execute(select(table).where(table.c.configuration_version > known))
            for table in (flags, segments, flag_sets)
        ]
        all_of_it = (FLAGS.all(changed[0]), SEGMENTS.all(changed[1]), SETS.all(changed[2]))
        return Configuration(newest, *all_of_it, complete=not known)

    async def find_set(self, flag_set_id: str) -> FlagSet | None:
        return SETS.first(await self._connection.execute(select(flag_sets).where(flag_sets.c.id == flag_set_id)))

    async def list_sets(self, *, after: str | None, limit: int) -> Sequence[FlagSet]:
        """Flag sets by id, starting after one."""
        statement = select(flag_sets)
        if after is not None:
            statement = statement.where(flag_sets.c.id > after)
        return SETS.all(await self._connection.execute(statement.order_by(flag_sets.c.id).limit(limit)))

    async def count_sets(self) -> int:
        return (await self._connection.execute(select(func.count()).select_from(flag_sets))).scalar_one()


class ConfigurationRepository(ConfigurationReader, Repository):
    """The configuration version, and the flag sets.

    Every change of a flag, a segment or a set calls `advance` first. It is the only lock: until the transaction ends,
    no other change of any of them begins.
    """

    async def advance(self, now: datetime, *, above: int = 0) -> int:
        """Begins a change: returns its configuration version, which is sent to all servers as the change commits.

        It is greater than `above`, and at least the microseconds since 1970 by the database's clock, so that it does
        not go back when a backup is restored.
        """
        by_clock = cast(func.extract("epoch", func.clock_timestamp()) * _MICROSECONDS, BigInteger)
        least = func.greatest(by_clock, above + 1)
        first = insert(configuration).values(id=1, version=least, earlier_versions=[], update_time=now)
        before = configuration.c
        later = {
            "version": func.greatest(before.version + 1, least),
            "earlier_versions": func.array_prepend(before.version, before.earlier_versions[1 : _MAX_EARLIER - 1]),
            "update_time": now,
        }
        statement = first.on_conflict_do_update(index_elements=["id"], set_=later)
        version = int((await self._connection.execute(statement.returning(configuration.c.version))).scalar_one())
        await self._connection.execute(select(func.pg_notify(literal(CHANNEL), literal(str(version)))))
        return version

    async def make_set(self, flag_set_id: str, version: int, now: datetime) -> bool:
        """Creates an empty flag set unless it exists; returns whether it is new."""
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

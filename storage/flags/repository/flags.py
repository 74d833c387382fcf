from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Text, cast, func, select

from storage.base import AnyRow, Reader, Repository, insert_json, json_parameter, update_json
from storage.flags.records import Flag, FlagState, FlagType, FlagVersion, Prerequisite
from storage.flags.repository.rows import FLAG_COLUMNS, FLAGS, VERSION_COLUMNS, flag_row, version_of, version_row
from storage.flags.tables import flag_versions, flags

_ADD = (
    insert_json(flags, *FLAG_COLUMNS)
    .on_conflict_do_nothing(index_elements=["flag_set_id", "key"])
    .returning(flags.c.id)
)
_CHANGEABLE = tuple(name for name in FLAG_COLUMNS if name not in ("flag_set_id", "key", "create_time"))
_CHANGE = update_json(flags, *_CHANGEABLE)
_ADD_VERSIONS = insert_json(flag_versions, *VERSION_COLUMNS)


class FlagReader(Reader):
    """Flags as they stand and as they were."""

    async def find(self, flag_set_id: str, key: str) -> Flag | None:
        """The flag, archived or not."""
        mine = (flags.c.flag_set_id == flag_set_id) & (flags.c.key == key)
        return FLAGS.first(await self._connection.execute(select(flags).where(mine)))

    async def of_set(self, flag_set_id: str) -> Mapping[str, Flag]:
        """All flags of a set by key, archived ones among them."""
        statement = select(flags).where(flags.c.flag_set_id == flag_set_id).order_by(flags.c.key)
        return {each.key: each for each in FLAGS.all(await self._connection.execute(statement))}

    async def list_by_key(
        self,
        flag_set_id: str,
        *,
        after: str | None,
        limit: int,
        archived: bool,
        prefix: str = "",
        state: FlagState | None = None,
        owner: str = "",
        size: int,
    ) -> Sequence[Flag]:
        """Flags of a set by key, starting after one, whose keys have a prefix; with `archived`, archived ones too.

        A state of None, and an empty owner, mean any.

        The last one is the first by which their documents are larger than `size` bytes together, unless `limit` ends
        them.
        """
        some = select(flags).where(flags.c.flag_set_id == flag_set_id)
        if after is not None:
            some = some.where(flags.c.key > after)
        if not archived:
            some = some.where(flags.c.archived.is_(False))
        if prefix:
            some = some.where(flags.c.key.startswith(prefix, autoescape=True))
        if state is not None:
            some = some.where(flags.c.state == state)
        if owner:
            some = some.where(flags.c.owner == owner)
        found = some.order_by(flags.c.key).limit(limit).subquery()
        mine = func.octet_length(cast(found.c.document, Text)) + func.octet_length(found.c.description)
        so_far = (func.sum(mine).over(order_by=found.c.key) - mine).label("so_far")
        sized = select(*found.c, so_far).subquery()
        statement = select(*(sized.c[name] for name in FLAG_COLUMNS)).where(sized.c.so_far <= size)
        return FLAGS.all(await self._connection.execute(statement.order_by(sized.c.key)))

    async def count(self, flag_set_id: str) -> int:
        """How many flags a set has, archived ones among them."""
        statement = select(func.count()).select_from(flags).where(flags.c.flag_set_id == flag_set_id)
        return (await self._connection.execute(statement)).scalar_one()

    async def find_version(self, flag: Flag, version: int) -> FlagVersion | None:
        """What a flag was at a version."""
        mine = (flag_versions.c.flag_id == flag.id) & (flag_versions.c.version == version)
        found = (await self._connection.execute(select(flag_versions).where(mine))).first()
        return None if found is None else version_of(found, _flag_then(found))

    async def list_versions(self, flag_id: UUID, *, before: int | None, limit: int) -> Sequence[FlagVersion]:
        """The versions of a flag, latest first, starting below one."""
        statement = select(flag_versions).where(flag_versions.c.flag_id == flag_id)
        if before is not None:
            statement = statement.where(flag_versions.c.version < before)
        found = await self._connection.execute(statement.order_by(flag_versions.c.version.desc()).limit(limit))
        return [version_of(row, _flag_then(row)) for row in found]


class FlagRepository(FlagReader, Repository):
    """Flags and their versions; `ConfigurationRepository.advance` must be called before, and is the only lock."""

    async def add(self, new: Sequence[Flag], version: int) -> set[UUID]:
        """Adds flags at a configuration version, and returns which were added: not those whose key is taken."""
        return set((await self._connection.execute(_ADD, _rows(FLAG_COLUMNS, new, version))).scalars())

    async def change(self, changed: Sequence[Flag], version: int) -> None:
        """Stores the new values of flags at a configuration version."""
        await self._connection.execute(_CHANGE, _rows(_CHANGEABLE, changed, version))

    async def add_versions(self, versions: Sequence[FlagVersion]) -> None:
        """Stores new versions of flags."""
        rows = map(version_row, versions)
        values = ([row[name] for name in VERSION_COLUMNS] for row in rows)
        await self._connection.execute(_ADD_VERSIONS, json_parameter(VERSION_COLUMNS, values))


def _rows(names: Sequence[str], json_rows: Sequence[Flag], version: int) -> Mapping[str, str]:
    rows = (flag_row(each, version) for each in json_rows)
    return json_parameter(names, ([row[name] for name in names] for row in rows))


def _flag_then(row: AnyRow) -> Flag:
    document: dict[str, Any] = dict(row.document)
    times = {name: _time(document[name]) for name in ("expire_time", "create_time", "update_time")}
    needed = tuple(Prerequisite(each["flag_key"], tuple(each["variants"])) for each in document["prerequisites"])
    kinds = {"type": FlagType(document["type"]), "state": FlagState(document["state"]), "prerequisites": needed}
    return Flag(**{**document, **times, **kinds, "id": row.flag_id, "version": row.version})


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None

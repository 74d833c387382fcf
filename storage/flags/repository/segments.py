from collections.abc import Mapping, Sequence
from uuid import UUID

from sqlalchemy import func, select

from storage.base import Reader, Repository, column_names, insert_json, json_parameter, update_json
from storage.flags.records import Segment
from storage.flags.repository.rows import SEGMENT_COLUMNS, SEGMENTS
from storage.flags.tables import segment_versions, segments

_ADD = (
    insert_json(segments, *SEGMENT_COLUMNS)
    .on_conflict_do_nothing(index_elements=["flag_set_id", "name"])
    .returning(segments.c.id)
)
_CHANGEABLE = (
    "id",
    "rule",
    "description",
    "archived",
    "version",
    "configuration_version",
    "create_time",
    "update_time",
)
_CHANGE = update_json(segments, *_CHANGEABLE)
_VERSION_COLUMNS = column_names(segment_versions)
_ADD_VERSIONS = insert_json(segment_versions, *_VERSION_COLUMNS)


class SegmentReader(Reader):
    """Segments as they stand."""

    async def find(self, flag_set_id: str, name: str) -> Segment | None:
        """The segment, deleted or not."""
        mine = (segments.c.flag_set_id == flag_set_id) & (segments.c.name == name)
        return SEGMENTS.first(await self._connection.execute(select(segments).where(mine)))

    async def of_set(self, flag_set_id: str) -> Mapping[str, Segment]:
        """All segments of a set by name, deleted ones among them."""
        statement = select(segments).where(segments.c.flag_set_id == flag_set_id).order_by(segments.c.name)
        return {each.name: each for each in SEGMENTS.all(await self._connection.execute(statement))}

    async def list_by_name(self, flag_set_id: str, *, after: str | None, limit: int) -> Sequence[Segment]:
        """Segments of a set by name, starting after one, without deleted ones."""
        some = select(segments).where(segments.c.flag_set_id == flag_set_id, segments.c.archived.is_(False))
        if after is not None:
            some = some.where(segments.c.name > after)
        return SEGMENTS.all(await self._connection.execute(some.order_by(segments.c.name).limit(limit)))

    async def count(self, flag_set_id: str) -> int:
        """How many segments a set has, deleted ones among them."""
        statement = select(func.count()).select_from(segments).where(segments.c.flag_set_id == flag_set_id)
        return (await self._connection.execute(statement)).scalar_one()


class SegmentRepository(SegmentReader, Repository):
    """Segments and their versions; `ConfigurationRepository.advance` must be called before."""

    async def add(self, new: Sequence[Segment], version: int) -> set[UUID]:
        """Adds segments at a configuration version, and returns which were added: not those whose name is taken."""
        return set((await self._connection.execute(_ADD, _rows(SEGMENT_COLUMNS, new, version))).scalars())

    async def change(self, changed: Sequence[Segment], version: int) -> None:
        """Stores the new values of segments at a configuration version."""
        await self._connection.execute(_CHANGE, _rows(_CHANGEABLE, changed, version))

    async def add_versions(
        self, changed: Sequence[Segment], version: int, comment: str, changed_by: UUID, approved_by: UUID | None
    ) -> None:
        """Stores new versions of segments."""
        json_rows = {
            "comment": comment,
            "changed_by": changed_by,
            "approved_by": approved_by,
            "configuration_version": version,
        }
        rows = []
        for each in changed:
            own = {"segment_id": each.id, "version": each.version, "rule": each.rule, "archived": each.archived}
            row = {**json_rows, **own, "create_time": each.update_time}
            rows.append([row[name] for name in _VERSION_COLUMNS])
        await self._connection.execute(_ADD_VERSIONS, json_parameter(_VERSION_COLUMNS, rows))


def _rows(names: Sequence[str], json_rows: Sequence[Segment], version: int) -> Mapping[str, str]:
    at = {"configuration_version": version}
    return json_parameter(names, ([at.get(name) or getattr(each, name) for name in names] for each in json_rows))

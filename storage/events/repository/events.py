from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import orjson
from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Text,
    bindparam,
    cast,
    delete,
    func,
    literal_column,
    select,
    text,
    true,
    tuple_,
)
from sqlalchemy.sql.base import ReadOnlyColumnCollection
from sqlalchemy.types import DateTime

from storage.base import AnyRow, Reader, Records, Repository
from storage.events.records import Event, EventFilter
from storage.events.tables import batches, events, keys

COLUMNS = tuple(
    cast(column, Text).label(column.name) if column.name in ("data", "attributes") else column for column in events.c
)
"""JSON as it was sent."""
_TIME = DateTime(timezone=True)

_ORDER = (events.c.time, events.c.sequence)
_BOUNDARY = select(*_ORDER).where(events.c.subject == bindparam("subject"), events.c.subject != "")
_BOUNDARY = _BOUNDARY.order_by(*_ORDER).offset(bindparam("most", type_=BigInteger) - 1).limit(1)
_DELETE_SUBJECT = text("""
    WITH deleted AS (
        DELETE FROM events.events
        WHERE subject = :subject AND subject <> '' AND time <= :until AND (time, sequence) <= (:until, :last)
        RETURNING type, time
    ), touched AS (
        INSERT INTO events.touched (type, minute)
        SELECT DISTINCT type, date_trunc('minute', time, 'UTC') FROM deleted
    )
    SELECT count(*) FROM deleted
""").bindparams(bindparam("until", type_=_TIME), bindparam("last", type_=BigInteger))

_LAST = datetime.max.replace(tzinfo=UTC)
_EVENTS = Records(Event)


class EventReader(Reader):
    """Stored events."""

    async def list_latest(
        self,
        wanted: EventFilter,
        *,
        start: datetime | None,
        end: datetime | None,
        before: tuple[datetime, int] | None,
        limit: int,
    ) -> Sequence[Event]:
        """Those that happened last first, from `start` on and before `end`, below a key of (time, sequence)."""
        statement = select(*COLUMNS).where(matches(wanted))
        if start is not None:
            statement = statement.where(events.c.time >= start)
        if end is not None:
            statement = statement.where(events.c.time < end)
        if before is not None:  # the time by itself, too: that leaves out partitions
            key = tuple_(events.c.time, events.c.sequence)
            statement = statement.where(events.c.time <= before[0], key < before)
        statement = statement.order_by(events.c.time.desc(), events.c.sequence.desc()).limit(limit)
        return events_of(await self._connection.execute(statement))

    async def list_of_subject(self, subject: str, *, after: tuple[datetime, int] | None, limit: int) -> Sequence[Event]:
        """A subject's, the first first."""
        statement = select(*COLUMNS).where(matches(EventFilter(subject=subject)))
        if after is not None:
            key = tuple_(events.c.time, events.c.sequence)
            statement = statement.where(events.c.time >= after[0], key > after)
        statement = statement.order_by(events.c.time, events.c.sequence).limit(limit)
        return events_of(await self._connection.execute(statement))


class EventRepository(EventReader, Repository):
    """Stored events."""

    async def delete_subject(self, subject: str, limit: int) -> int:
        """Deletes up to so many of a subject's events, the first first, and returns how many those were.

        Of what is deleted, the minutes are touched, so that it is counted no longer.
        """
        values = {"subject": subject, "most": limit}
        until, last = (await self._connection.execute(_BOUNDARY, values)).first() or (_LAST, 0)
        values = {"subject": subject, "until": until, "last": last}
        return int((await self._connection.execute(_DELETE_SUBJECT, values)).scalar_one())


class KeyRepository(Repository):
    """The keys by which events are known, which are kept for a while."""

    async def last_before(self, time: datetime) -> int | None:
        """The last batch that was received before a time; None where there is none."""
        statement = select(func.max(batches.c.sequence)).where(batches.c.receive_time < time)
        found: int | None = (await self._connection.execute(statement)).scalar()
        return found

    async def count_pages(self) -> int:
        """How many pages the keys take."""
        size = text("SELECT pg_relation_size('events.keys') / current_setting('block_size')::int")
        return int((await self._connection.execute(size)).scalar_one())

    async def sweep(self, last_batch: int, first_page: int, pages: int) -> int:
        """Deletes the keys of batches up to one, in so many pages of the table; returns how many those were."""
        statement = delete(keys).where(*_between_pages(first_page, first_page + pages), keys.c.batch <= last_batch)
        return (await self._connection.execute(statement)).rowcount

    async def purge_batches(self, before: datetime, limit: int) -> int:
        """Deletes up to so many batches that were received before a time, though not their events."""
        return await self._delete_before(batches.c.receive_time, before, limit)


def matches(wanted: EventFilter, of: ReadOnlyColumnCollection[str, Any] = events.c) -> ColumnElement[bool]:
    """Which events a filter leaves, of a table or a part of it."""
    found: ColumnElement[bool] = true()
    if wanted.types:
        found &= of.type.in_(sorted(wanted.types))
    if wanted.source is not None:
        found &= of.source == wanted.source
    if wanted.subject is not None:  # twice, for the index, which has none that are empty
        found &= (of.subject == wanted.subject) & (of.subject != "")
    return found


def events_of(rows: Iterable[AnyRow]) -> Sequence[Event]:
    """The events of rows that have the COLUMNS."""
    return _EVENTS.all(rows, data=lambda row: row.data or "", attributes=_attributes)


def _attributes(row: AnyRow) -> Mapping[str, str]:
    found: Mapping[str, str] = orjson.loads(row.attributes) if row.attributes else {}
    return found


def _between_pages(first: int, end: int) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    """Where the rows lie, which PostgreSQL reads without an index."""
    return (
        literal_column("keys.ctid") >= literal_column(f"'({first},0)'::tid"),
        literal_column("keys.ctid") < literal_column(f"'({end},0)'::tid"),
    )

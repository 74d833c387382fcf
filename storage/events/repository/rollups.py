"""Rollups: what was counted by minute, hour and day, and which minutes of it are not exact at the moment."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from uuid import UUID

from sqlalchemy import bindparam, delete, func, select, text
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.types import Date

from storage.base import Reader, Repository
from storage.events.measures import Level, RollupSeries, Span
from storage.events.repository.counting import (
    TALLIED,
    Parameters,
    compacted,
    counted_rows,
    is_detailed,
    merged,
    raw_details,
    raw_rows,
)
from storage.events.tables import meter_progress, rollups, touched

_MINUTE = timedelta(minutes=1)
_LENGTHS = {Level.MINUTE: _MINUTE, Level.HOUR: timedelta(hours=1), Level.DAY: timedelta(days=1)}
_UNITS = {Level.MINUTE: "minute", Level.HOUR: "hour", Level.DAY: "day"}
_MAX_MINUTES = 2_000
"""Of touched ones that are told one by one; where there are more, the days that they are on are told."""
_LOCK = "events.rollups"
_PATIENCE = text("SET LOCAL statement_timeout = '300s'")
"""A day of a busy type takes longer to count than anybody waits for an answer."""
_TAKE = text("""
    DELETE FROM events.touched WHERE sequence = ANY(ARRAY(
        SELECT sequence FROM events.touched ORDER BY sequence LIMIT :most FOR UPDATE SKIP LOCKED
    )) RETURNING type, minute
""")
# OFFSET 0, here and below, has each span looked up by the index, whatever the planner thinks of their number.
_CLEAR = text("""
    DELETE FROM events.rollups WHERE ctid = ANY(ARRAY(
        SELECT each.ctid
        FROM unnest(CAST(:begins AS timestamptz[]), CAST(:ends AS timestamptz[])) AS span (begin, until)
        CROSS JOIN LATERAL (
            SELECT ctid FROM events.rollups
            WHERE series = CAST(:series AS text) AND level = CAST(:level AS smallint)
                AND bucket >= span.begin AND bucket < span.until
            OFFSET 0
        ) AS each
    ))
""")
_REMOVE = text("""
    DELETE FROM events.rollups WHERE series = CAST(:series AS text) AND ctid = ANY(ARRAY(
        SELECT ctid FROM events.rollups WHERE series = CAST(:series AS text) LIMIT :most
    ))
""")
# All series are looked at for it, once a day.
_REMOVE_DAY = text("""
    DELETE FROM events.rollups WHERE bucket >= CAST(:day AS date)::timestamp AT TIME ZONE 'UTC'
        AND bucket < (CAST(:day AS date) + 1)::timestamp AT TIME ZONE 'UTC'
""").bindparams(bindparam("day", type_=Date))
_STORED = ("series", "level", "bucket", "groups", *TALLIED, "keys", "amounts")


class RollupReader(Reader):
    """How far rollups are exact."""

    async def list_touched(self, event_type: str, start: datetime, end: datetime) -> Sequence[Span]:
        """The times in which events of a type came or went that the rollups do not have yet; some more where there are
        many."""
        found = await self._touched(event_type, start, end, "minute", _MAX_MINUTES + 1)
        if len(found) <= _MAX_MINUTES:
            return [Span(each, each + _MINUTE) for each in found]
        days = await self._touched(event_type, start, end, "day", None)
        return [Span(each, each + timedelta(days=1)) for each in days]

    async def _touched(
        self, event_type: str, start: datetime, end: datetime, unit: str, limit: int | None
    ) -> Sequence[datetime]:
        begin = func.date_trunc(unit, touched.c.minute, "UTC")
        statement = (
            select(begin)
            .distinct()
            .where(touched.c.type == event_type, touched.c.minute > start - _MINUTE, touched.c.minute < end)
            .limit(limit)
        )
        return list((await self._connection.execute(statement)).scalars())

    async def progress(self) -> Mapping[UUID, datetime | None]:
        """From when on each meter has all of its rollups; None where it has not begun."""
        rows = await self._connection.execute(select(meter_progress.c.meter_id, meter_progress.c.ready_from_time))
        return {row.meter_id: row.ready_from_time for row in rows}

    async def last_day_before(self, series: RollupSeries, before: datetime) -> datetime | None:
        """The last day before a time of which a series has a rollup."""
        statement = select(func.max(rollups.c.bucket)).where(
            rollups.c.series == series.series, rollups.c.level == int(Level.DAY), rollups.c.bucket < before
        )
        found: datetime | None = await self._connection.scalar(statement)
        return found


class RollupRepository(RollupReader, Repository):
    """Rollups, to be brought up to date; whoever does that holds their lock."""

    async def lock(self) -> bool:
        """Whether nobody else brings rollups up to date; until the transaction ends, nobody else does.

        What is read afterwards is what all who did so before had read, or later.
        """
        await self._connection.execute(_PATIENCE)
        return bool(
            await self._connection.scalar(select(func.pg_try_advisory_xact_lock(func.hashtextextended(_LOCK, 0))))
        )

    async def take_touched(self, most: int) -> Mapping[str, Sequence[datetime]]:
        """Removes the first touched minutes, and returns them by the type of their events, each once."""
        found: dict[str, set[datetime]] = {}
        for row in await self._connection.execute(_TAKE, {"most": most}):
            found.setdefault(row.type, set()).add(row.minute)
        return {event_type: sorted(minutes) for event_type, minutes in found.items()}

    async def recount(self, series: RollupSeries, minutes: Sequence[datetime]) -> None:
        """Counts these minutes of a series anew, event by event, and then the hours and days that they are in."""
        spans = _joined(minutes, _LENGTHS[Level.MINUTE])
        parameters = Parameters()
        minute = "date_trunc('minute', time, 'UTC')"
        details = raw_details(series.measure, minute, "raw") if is_detailed(series.measure.aggregation) else None
        rows = raw_rows(series.measure, series.group_by, spans, parameters)
        counted = counted_rows(series.measure, minute, "raw")
        await self._replace(
            series, Level.MINUTE, minutes, f"raw AS MATERIALIZED ({rows})", counted, details, parameters
        )
        for level in (Level.HOUR, Level.DAY):
            await self._recount_level(series, level, minutes)

    async def recount_day(self, series: RollupSeries, day: datetime) -> None:
        """Counts all minutes, hours and the day of a series anew."""
        await self.recount(series, [day + place * _MINUTE for place in range(24 * 60)])

    async def _recount_level(self, series: RollupSeries, level: Level, minutes: Sequence[datetime]) -> None:
        unit, parameters = _UNITS[level], Parameters()
        buckets = sorted({_truncated(each, level) for each in minutes})
        starts = parameters.of(buckets, "timestamptz[]")
        shorter = f"""
            shorter AS MATERIALIZED (
                SELECT begin AS truncated, each.* FROM unnest({starts}) AS begin CROSS JOIN LATERAL (
                    SELECT * FROM events.rollups
                    WHERE series = {parameters.of(series.series, "text")} AND level = {level - 1}
                        AND bucket >= begin AND bucket < begin + interval '1 {unit}'
                    OFFSET 0
                ) AS each
            )
        """
        counted = f"SELECT truncated AS bucket, groups, {merged(series.measure.aggregation)} FROM shorter GROUP BY 1, 2"
        details = (
            "SELECT truncated AS bucket, groups, key, amount FROM shorter, unnest(keys, amounts) AS each (key, amount)"
        )
        found = details if is_detailed(series.measure.aggregation) else None
        await self._replace(series, level, buckets, shorter, counted, found, parameters)

    async def _replace(
        self,
        series: RollupSeries,
        level: Level,
        buckets: Sequence[datetime],
        rows: str,
        counted: str,
        details: str | None,
        parameters: Parameters,
    ) -> None:
        spans = _joined(buckets, _LENGTHS[level])
        await self._connection.execute(
            _CLEAR,
            {
                "series": series.series,
                "level": int(level),
                "begins": [each.start for each in spans],
                "ends": [each.end for each in spans],
            },
        )
        tables = [rows, f"counted AS MATERIALIZED ({counted})"]
        keys, joined = "NULL::bigint[], NULL::bigint[]", ""
        if details:
            tables.append(f"details AS MATERIALIZED ({details})")
            tables.append(compacted(series.measure.aggregation, "details", "groups"))
            tables.append(
                "listed AS (SELECT bucket, groups, array_agg(key ORDER BY key) AS keys, CASE WHEN count(amount) > 0"
                " THEN array_agg(amount ORDER BY key) END AS amounts FROM compact GROUP BY 1, 2)"
            )
            keys, joined = "keys, amounts", " LEFT JOIN listed USING (bucket, groups)"
        statement = f"""
            WITH {", ".join(tables)}
            INSERT INTO events.rollups ({", ".join(_STORED)})
            SELECT {parameters.of(series.series, "text")}, {int(level)}, bucket, groups, {", ".join(TALLIED)}, {keys}
            FROM counted{joined}
        """
        await self._connection.execute(text(statement), parameters.values)

    async def set_ready_from(self, meter_id: UUID, time: datetime | None) -> None:
        """Keeps from when on a meter has all of its rollups."""
        statement = upsert(meter_progress).values(meter_id=meter_id, ready_from_time=time)
        ready = {"ready_from_time": statement.excluded.ready_from_time}
        await self._connection.execute(statement.on_conflict_do_update(index_elements=["meter_id"], set_=ready))

    async def remove_day(self, day: date) -> None:
        """Deletes all rollups of a day, in UTC, whose events are gone."""
        await self._connection.execute(_REMOVE_DAY, {"day": day})

    async def remove_meter(self, meter_id: UUID, most: int) -> None:
        """Deletes up to so many rollups of a meter that there is no longer, and with the last ones its progress."""
        series = f"meter:{meter_id}"
        removed = (await self._connection.execute(_REMOVE, {"series": series, "most": most})).rowcount
        if removed < most:
            await self._connection.execute(delete(meter_progress).where(meter_progress.c.meter_id == meter_id))


def _joined(buckets: Sequence[datetime], length: timedelta) -> Sequence[Span]:
    """Buckets in order as the times that they are together."""
    spans: list[Span] = []
    for bucket in buckets:
        if spans and spans[-1].end == bucket:
            spans[-1] = Span(spans[-1].start, bucket + length)
        else:
            spans.append(Span(bucket, bucket + length))
    return spans


def _truncated(minute: datetime, level: Level) -> datetime:
    return minute.replace(minute=0) if level is Level.HOUR else minute.replace(hour=0, minute=0)

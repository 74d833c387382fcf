"""What was counted, asked by buckets of any clocks: from rollups where they are exact, and event by event elsewhere."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import text

from storage.base import AnyRow, Reader
from storage.events.measures import Aggregation, Ask, Rolled, RollupSeries, Sources, Tally
from storage.events.repository.counting import (
    TALLIED,
    Parameters,
    compacted,
    counted_rows,
    is_detailed,
    merged,
    passes,
    raw_details,
    raw_rows,
)

_NUMBERS = "trim_scale({0}) AS {0}"


class TallyReader(Reader):
    """Counts events."""

    async def count(self, ask: Ask, sources: Sources, rollups: RollupSeries | None = None) -> Sequence[Tally]:
        """What is asked, in the order of the buckets; those in which nothing counts are left out.

        `rollups` are of the same measure, and grouped by all that is asked for; needed where the sources name any.
        """
        parameters = Parameters()
        statement = _statement(ask, sources, rollups, parameters)
        if statement is None:
            return ()
        rows = await self._connection.execute(text(statement), parameters.values)
        return [_tally(row) for row in rows]


@dataclass(frozen=True, slots=True)
class _Read:
    """What is read: the CTEs for it, and the selects of what was counted and of its details."""

    tables: list[str]
    parts: list[str]
    details: list[str]


def _read(ask: Ask, sources: Sources, rollups: RollupSeries | None, parameters: Parameters) -> _Read:
    starts, read = parameters.of(list(ask.starts), "timestamptz[]"), _Read([], [], [])
    if sources.raw:
        # Read twice, or once.
        kept = "MATERIALIZED" if is_detailed(ask.measure.aggregation) else "NOT MATERIALIZED"
        rows = raw_rows(ask.measure, ask.group_by, sources.raw, parameters, ask.group_filters)
        read.tables.append(f"raw AS {kept} ({rows})")
        place = f"width_bucket(time, {starts}) - 1"
        read.parts.append(counted_rows(ask.measure, place, "raw"))
        read.details.append(raw_details(ask.measure, place, "raw"))
    if sources.rolled and rollups:
        read.tables.append(f"rolled AS MATERIALIZED ({_rolled(ask, sources.rolled, starts, rollups, parameters)})")
        read.parts.append(f"SELECT bucket, groups, {', '.join(TALLIED)} FROM rolled")
        each = "unnest(keys, amounts) AS each (key, amount)"
        read.details.append(f"SELECT bucket, groups, key, amount FROM rolled, {each}")
    return read


def _statement(ask: Ask, sources: Sources, rollups: RollupSeries | None, parameters: Parameters) -> str | None:
    measure, detailed = ask.measure, is_detailed(ask.measure.aggregation)
    read = _read(ask, sources, rollups, parameters)
    if not read.parts:
        return None
    tables, details = read.tables, read.details
    tables.append(f"parts AS ({' UNION ALL '.join(read.parts)})")
    rank, groups, ranked = "1", "NULL::text[]", ""
    if ask.group_by:
        tables.append(_ranked(ask, parameters))
        rank, groups, ranked = "coalesce(rank, 0)", "min(ranked.groups)", "LEFT JOIN ranked USING (groups)"
    tables.append(
        f"tallies AS (SELECT bucket, {rank} AS rank, {groups} AS groups, {merged(measure.aggregation)}"
        f" FROM parts {ranked} GROUP BY 1, 2)"
    )
    if detailed:
        tables.append(
            f"details AS MATERIALIZED (SELECT bucket, {rank} AS rank, key, amount"
            f" FROM ({' UNION ALL '.join(details)}) AS found {ranked})"
        )
        tables.append(compacted(measure.aggregation, "details", "rank"))
        tables.append(_summed_up(ask, parameters))
    columns = ", ".join(_NUMBERS.format(name) for name in ("total", "low", "high", "latest_value"))
    more = "distinct_values, register_values, register_counts, marks" if detailed else _NOTHING
    return f"""
        WITH {", ".join(tables)}
        SELECT bucket, rank, groups, count AS number, {columns}, trim_scale(total / count) AS average, {more}
        FROM tallies {"LEFT JOIN summed_up USING (bucket, rank)" if detailed else ""}
        ORDER BY bucket, rank
    """


_NOTHING = "NULL AS distinct_values, NULL AS register_values, NULL AS register_counts, NULL AS marks"


def _rolled(ask: Ask, rolled: Sequence[Rolled], starts: str, rollups: RollupSeries, parameters: Parameters) -> str:
    levels = parameters.of([int(each.level) for each in rolled], "int[]")
    begins = parameters.of([each.start for each in rolled], "timestamptz[]")
    ends = parameters.of([each.end for each in rolled], "timestamptz[]")

    def group(name: str) -> str:
        return f"groups[{rollups.group_by.index(name) + 1}]"

    groups = ", ".join(map(group, ask.group_by))
    filters = passes(ask.group_filters, parameters, lambda name: f"to_json({group(name)})")
    return f"""
        SELECT width_bucket(r.bucket, {starts}) - 1 AS bucket, ARRAY[{groups}]::text[] AS groups,
            {", ".join(f"r.{name}" for name in TALLIED)}, r.keys, r.amounts
        FROM unnest({levels}, {begins}, {ends}) AS span (level, begin, until) JOIN events.rollups AS r
            ON r.series = {parameters.of(rollups.series, "text")} AND r.level = span.level
            AND r.bucket >= span.begin AND r.bucket < span.until
        WHERE true{filters}
    """


def _ranked(ask: Ask, parameters: Parameters) -> str:
    weight = "sum(total)" if ask.measure.aggregation is Aggregation.SUM else "sum(count)"
    top = parameters.of(ask.top, "bigint")
    return f"""
        ranked AS MATERIALIZED (
            SELECT groups, row_number() OVER (ORDER BY {weight} DESC, groups COLLATE "C") AS rank
            FROM parts GROUP BY groups ORDER BY 2 LIMIT {top}
        )
    """


def _summed_up(ask: Ask, parameters: Parameters) -> str:
    """What the details come to in each bucket: how many they are, or the registers by value, or the percentiles."""
    if ask.measure.aggregation is Aggregation.DISTINCT:
        return """
            summed_up AS (
                SELECT bucket, rank, sum(number) FILTER (WHERE amount IS NULL) AS distinct_values,
                    array_agg(amount) FILTER (WHERE amount IS NOT NULL) AS register_values,
                    array_agg(number) FILTER (WHERE amount IS NOT NULL) AS register_counts, NULL::bigint[] AS marks
                FROM (SELECT bucket, rank, amount, count(*) AS number FROM compact GROUP BY 1, 2, 3) AS counted
                GROUP BY 1, 2
            )
        """
    wanted = parameters.of([each / 100 for each in ask.measure.percentiles], "float8[]")
    return f"""
        summed_up AS (
            SELECT bucket, rank, NULL::bigint AS distinct_values, NULL::bigint[] AS register_values,
                NULL::bigint[] AS register_counts, array_agg(mark ORDER BY place) AS marks
            FROM (
                SELECT bucket, rank, place, min(key) FILTER (WHERE so_far >= greatest(ceil(share * whole), 1)) AS mark
                FROM (
                    SELECT bucket, rank, key, sum(amount) OVER (PARTITION BY bucket, rank ORDER BY key) AS so_far,
                        sum(amount) OVER (PARTITION BY bucket, rank) AS whole
                    FROM compact
                ) AS running, unnest({wanted}) WITH ORDINALITY AS wanted (share, place)
                GROUP BY 1, 2, 3
            ) AS marked GROUP BY 1, 2
        )
    """


def _tally(row: AnyRow) -> Tally:
    values: Any = zip(row.register_values or (), row.register_counts or (), strict=True)
    return Tally(
        place=row.bucket,
        rank=row.rank,
        group=tuple(row.groups or ()),
        count=row.number,
        total=row.total,
        average=row.average,
        low=row.low,
        high=row.high,
        latest=row.latest_value,
        distinct=None if row.distinct_values is None else int(row.distinct_values),
        registers=tuple((int(value), int(number)) for value, number in values),
        marks=tuple(int(mark) for mark in row.marks or ()),
    )

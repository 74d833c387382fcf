"""The parts of statements that count events: of what their data is made of, and how what was counted is put together.

Whatever a caller names is a parameter, and never a part of a statement's text.
"""

from collections.abc import Callable, Mapping, Sequence
from math import log
from typing import Any

from storage.events.measures import (
    BIN_SHIFT,
    EXACT_DISTINCT,
    GAMMA,
    MAX_GROUP_CHARACTERS,
    REGISTER_BITS,
    SOURCE,
    SUBJECT,
    VALUE_BITS,
    Aggregation,
    FilterOperator,
    Measure,
    PropertyFilter,
    Span,
)

_LN_GAMMA = repr(log(GAMMA))
_COMPARED = {
    FilterOperator.LESS: "<",
    FilterOperator.LESS_OR_EQUAL: "<=",
    FilterOperator.GREATER: ">",
    FilterOperator.GREATER_OR_EQUAL: ">=",
}
TALLIED = ("count", "total", "low", "high", "latest_time", "latest_key", "latest_value")
"""What is counted of one group in one bucket, beside the details that some aggregations need."""
_LATEST = "(array_agg({0} ORDER BY {1} DESC, {2} DESC) FILTER (WHERE {3} IS NOT NULL))[1]"


class Parameters:
    """The values of a statement, each named by its place."""

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}

    def of(self, value: object, kind: str) -> str:
        """How the statement's text refers to a value of this type of PostgreSQL's."""
        name = f"p{len(self.values)}"
        self.values[name] = value
        return f"CAST(:{name} AS {kind})"


def is_detailed(aggregation: Aggregation) -> bool:
    """Whether it needs more of a bucket than some numbers: its distinct values, or how they are distributed."""
    return aggregation in (Aggregation.DISTINCT, Aggregation.PERCENTILES)


def json_of(name: str, parameters: Parameters) -> str:
    """A property of the event `e` as JSON; NULL where it has none."""
    if name == SOURCE:
        return "to_json(e.source)"
    if name == SUBJECT:
        return "CASE WHEN e.subject <> '' THEN to_json(e.subject) END"
    return f"(e.data #> {parameters.of(name.split('.'), 'text[]')})"


def number_of(json: str) -> str:
    """The JSON as a number; NULL where it is none, or one of more digits than anything measured has."""
    plain = f"length({json}::text) <= 400 AND {json}::text !~ '[eE][+-]?0*[1-9][0-9]{{3}}'"
    return f"CASE WHEN json_typeof({json}) = 'number' AND {plain} THEN {json}::text::numeric END"


def text_of(json: str) -> str:
    """The JSON as text; NULL where it is null. A number is its shortest digits."""
    digits = f"coalesce(trim_scale({number_of(json)})::text, {json}::text)"
    return f"CASE json_typeof({json}) WHEN 'null' THEN NULL WHEN 'number' THEN {digits} ELSE {json} #>> '{{}}' END"


def group_of(json: str) -> str:
    """The JSON as a value by which events are grouped."""
    return f"left({text_of(json)}, {MAX_GROUP_CHARACTERS})"


def passes(wanted: Sequence[PropertyFilter], parameters: Parameters, json_of: Callable[[str], str]) -> str:
    """Whether an event passes all filters, by its properties as JSON."""
    return "".join(f" AND ({_passes(each, parameters, json_of(each.property))})" for each in wanted)


def _passes(each: PropertyFilter, parameters: Parameters, json: str) -> str:
    if sign := _COMPARED.get(each.operator):
        return f"{number_of(json)} {sign} {parameters.of(each.values[0], 'numeric')}"
    text = text_of(json)
    if each.operator is FilterOperator.EXISTS:
        return f"({text}) IS NOT NULL"
    if each.operator is FilterOperator.NOT_EXISTS:
        return f"({text}) IS NULL"
    among = f"({text}) = ANY({parameters.of(list(each.values), 'text[]')})"
    return among if each.operator is FilterOperator.IN else f"({among}) IS NOT TRUE"


def within(spans: Sequence[Span], parameters: Parameters) -> tuple[str, str]:
    """What is joined with events, and the condition, so that they lie in one of these times; there is one at least."""
    low, high = min(each.start for each in spans), max(each.end for each in spans)
    # The whole is named too, for only then are partitions left out before a statement begins.
    where = f"e.time >= {parameters.of(low, 'timestamptz')} AND e.time < {parameters.of(high, 'timestamptz')}"
    if len(spans) == 1:
        return "", where
    begins = parameters.of([each.start for each in spans], "timestamptz[]")
    ends = parameters.of([each.end for each in spans], "timestamptz[]")
    joined = f" JOIN unnest({begins}, {ends}) AS span (begin, until) ON e.time >= span.begin AND e.time < span.until"
    return joined, where


def raw_rows(
    measure: Measure,
    group_by: Sequence[str],
    spans: Sequence[Span],
    parameters: Parameters,
    group_filters: Sequence[PropertyFilter] = (),
) -> str:
    """A row for each event that may count: `time`, `key`, `value` and `groups`."""
    joined, where = within(spans, parameters)
    json = json_of(measure.property, parameters) if measure.property else "NULL::json"
    groups = "".join(f", {json_of(name, parameters)} AS g{place}" for place, name in enumerate(group_by))
    filters = passes(measure.filters, parameters, lambda name: json_of(name, parameters))
    filters += passes(group_filters, parameters, lambda name: f"to_json({group_of(json_of(name, parameters))})")
    counted = text_of("j") if measure.aggregation is Aggregation.DISTINCT else number_of("j")
    values = ", ".join(group_of(f"g{place}") for place in range(len(group_by)))
    # OFFSET 0 has each property looked up once in an event's data, and not at each of its uses.
    return f"""
        SELECT time, key, {counted if measure.property else "1"} AS value, ARRAY[{values}]::text[] AS groups
        FROM (
            SELECT e.time, e.source || ' ' || e.id AS key, {json} AS j{groups}
            FROM events.events AS e{joined}
            WHERE e.type = {parameters.of(measure.event_type, "text")} AND {where}{filters}
            OFFSET 0
        ) AS looked_up
    """


def counted_rows(measure: Measure, bucket: str, rows: str) -> str:
    """Raw rows of the CTE `rows`, counted by `bucket` and `groups`."""
    columns = ", ".join(f"{how} AS {name}" for name, how in _counted(measure.aggregation).items())
    return f"SELECT {bucket} AS bucket, groups, {columns} FROM {rows} WHERE value IS NOT NULL GROUP BY 1, 2"


def _counted(aggregation: Aggregation) -> Mapping[str, str]:
    ends = aggregation is Aggregation.PERCENTILES
    made = {
        "count": "count(*)",
        "total": "sum(value)" if aggregation in (Aggregation.SUM, Aggregation.AVERAGE) else "NULL::numeric",
        "low": "min(value)" if ends or aggregation is Aggregation.MIN else "NULL::numeric",
        "high": "max(value)" if ends or aggregation is Aggregation.MAX else "NULL::numeric",
    }
    columns = (
        ("latest_time", "time", "timestamptz"),
        ("latest_key", "key", "text"),
        ("latest_value", "value", "numeric"),
    )
    for name, column, kind in columns:
        latest = _LATEST.format(column, "time", 'key COLLATE "C"', "value")
        made[name] = latest if aggregation is Aggregation.LATEST else f"NULL::{kind}"
    return made


def merged(aggregation: Aggregation) -> str:
    """The columns of what was counted in several parts, put together."""
    made = {"count": "sum(count)::bigint", "total": "sum(total)", "low": "min(low)", "high": "max(high)"}
    kinds = {"latest_time": "timestamptz", "latest_key": "text", "latest_value": "numeric"}
    for name, kind in kinds.items():
        # Not where it is of no use: it has all parts sorted.
        latest = _LATEST.format(name, "latest_time", 'latest_key COLLATE "C"', "latest_time")
        made[name] = latest if aggregation is Aggregation.LATEST else f"NULL::{kind}"
    return ", ".join(f"{how} AS {name}" for name, how in made.items())


def raw_details(measure: Measure, bucket: str, rows: str) -> str:
    """The details of raw rows: `bucket`, `groups`, `key`, `amount`."""
    if measure.aggregation is Aggregation.DISTINCT:
        hashed = "('x' || left(encode(sha256(convert_to(value, 'UTF8')), 'hex'), 16))::bit(64)::bigint"
        key, amount = hashed, "NULL::bigint"
    else:
        magnitude = f"ceil(ln(least(abs(value), 1e300)::float8) / {_LN_GAMMA})"
        key = f"CASE WHEN abs(value) < 1e-300 THEN 0 ELSE sign(value)::bigint * ({BIN_SHIFT} + {magnitude})::bigint END"
        amount = "count(*)"
    return f"""
        SELECT {bucket} AS bucket, groups, {key} AS key, {amount} AS amount
        FROM {rows} WHERE value IS NOT NULL GROUP BY 1, 2, 3
    """


def compacted(aggregation: Aggregation, details: str, group: str) -> str:
    """CTEs that end in `compact`: the details of the CTE `details`, each key of a bucket and group once.

    Of more distinct values than are counted exactly, the registers of a HyperLogLog are left: the first bits of a
    hash say which, and the place of the first 1 among the others is its value.
    """
    by = f"bucket, {group}"
    if aggregation is Aggregation.PERCENTILES:
        amount = "sum(amount)::bigint AS amount"
        return f"compact AS MATERIALIZED (SELECT {by}, key, {amount} FROM {details} GROUP BY {by}, key)"
    register = f"(key >> {VALUE_BITS}) & {(1 << REGISTER_BITS) - 1}"
    value = f"{VALUE_BITS + 1} - length(ltrim(key::bit({VALUE_BITS})::text, '0'))"
    return f"""
        exact AS MATERIALIZED (SELECT {by}, key FROM {details} WHERE amount IS NULL GROUP BY {by}, key),
        large AS MATERIALIZED (
            SELECT {by} FROM exact GROUP BY {by} HAVING count(*) > {EXACT_DISTINCT}
            UNION SELECT {by} FROM {details} WHERE amount IS NOT NULL
        ),
        compact AS MATERIALIZED (
            SELECT {by}, key, NULL::bigint AS amount FROM exact WHERE ({by}) NOT IN (SELECT {by} FROM large)
            UNION ALL
            SELECT {by}, key, max(amount) FROM (
                SELECT {by}, key, amount FROM {details} WHERE amount IS NOT NULL
                UNION ALL
                SELECT {by}, {register}, {value} FROM exact WHERE ({by}) IN (SELECT {by} FROM large)
            ) AS registers GROUP BY {by}, key
        )
    """

"""What the tests of counting share: events written to the tables as they are ingested, and what a plain reading of them
says."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import text

from server.events.service.rolling import Rolling
from storage.database import Database
from storage.events.measures import Aggregation, FilterOperator, Measure, PropertyFilter
from storage.events.store import EVENTS, EVENTS_CONFIGURATION

BEGIN = datetime(2026, 3, 20, tzinfo=UTC)
_PARTITION = text("SELECT events.create_partition(CAST(:day AS date))")
_ADD = text("""
    INSERT INTO events.events (time, sequence, receive_time, source, id, type, subject, data)
    SELECT time, 0, now(), source, id, type, subject, data
    FROM json_to_recordset(CAST(:rows AS json))
        AS rows (time timestamptz, source text, id text, type text, subject text, data json)
""")
_TOUCH = text("""
    INSERT INTO events.touched (type, minute)
    SELECT DISTINCT type, date_trunc('minute', time, 'UTC') FROM json_to_recordset(CAST(:rows AS json))
        AS rows (time timestamptz, type text)
""")


@dataclass(frozen=True, slots=True)
class Happened:
    """One event."""

    id: str
    time: datetime
    data: Any = field(default_factory=dict)
    type: str = "order.paid"
    subject: str = ""
    source: str = "/shop"


async def add(database: Database, happened: Iterable[Happened]) -> None:
    """Stores events with what they touch, as a batch of them is ingested."""
    events = list(happened)
    rows = [
        {
            "time": each.time.isoformat(),
            "source": each.source,
            "id": each.id,
            "type": each.type,
            "subject": each.subject,
            "data": each.data,
        }
        for each in events
    ]
    async with database.store(EVENTS).transaction() as tx:
        for day in {each.time.date() for each in events}:
            await tx._connection.execute(_PARTITION, {"day": day})
        given = {"rows": json.dumps(rows)}
        await tx._connection.execute(_ADD, given)
        await tx._connection.execute(_TOUCH, given)


def value_of(event: Happened, name: str) -> Any:
    """A property of an event; None where it has none."""
    if name == "$source":
        return event.source
    if name == "$subject":
        return event.subject or None
    found: Any = event.data
    for key in name.split("."):
        found = found.get(key) if isinstance(found, dict) else None
    return found


def number_of(value: Any) -> Decimal | None:
    """A JSON number as it is; nothing else is one."""
    return None if isinstance(value, bool) or not isinstance(value, int | float) else Decimal(str(value)) + 0


def text_of(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    number = number_of(value)
    if number is None:
        return json.dumps(value)
    plain = format(number, "f")
    return plain.rstrip("0").rstrip(".") if "." in plain else plain


def passes(event: Happened, wanted: PropertyFilter) -> bool:
    value = value_of(event, wanted.property)
    match wanted.operator:
        case FilterOperator.IN:
            return text_of(value) in wanted.values
        case FilterOperator.NOT_IN:
            return text_of(value) not in wanted.values
        case FilterOperator.EXISTS:
            return value is not None
        case FilterOperator.NOT_EXISTS:
            return value is None
    number, bound = number_of(value), Decimal(wanted.values[0])
    if number is None:
        return False
    return {
        FilterOperator.LESS: number < bound,
        FilterOperator.LESS_OR_EQUAL: number <= bound,
        FilterOperator.GREATER: number > bound,
        FilterOperator.GREATER_OR_EQUAL: number >= bound,
    }[wanted.operator]


def counting(events: Iterable[Happened], measure: Measure) -> list[Happened]:
    """The events that count."""
    found = [
        each
        for each in events
        if each.type == measure.event_type and all(passes(each, wanted) for wanted in measure.filters)
    ]
    if measure.aggregation is Aggregation.COUNT:
        return found
    made = text_of if measure.aggregation is Aggregation.DISTINCT else number_of
    return [each for each in found if made(value_of(each, measure.property)) is not None]


def made_of(events: Sequence[Happened], measure: Measure) -> list[Decimal | None]:
    """What a measure makes of events that count; of percentiles, the numbers that they stand for."""
    if measure.aggregation is Aggregation.COUNT:
        return [Decimal(len(events))]
    if measure.aggregation is Aggregation.DISTINCT:
        return [Decimal(len({text_of(value_of(each, measure.property)) for each in events}))]
    numbers = [number for each in events if (number := number_of(value_of(each, measure.property))) is not None]
    if measure.aggregation is Aggregation.SUM:
        return [sum(numbers, Decimal(0))]
    if not numbers:
        return [None] * max(1, len(measure.percentiles))
    if measure.aggregation is Aggregation.PERCENTILES:
        ordered = sorted(numbers)
        ranks = [max(1, -(-round(share * len(ordered) * 1000) // 100_000)) for share in measure.percentiles]
        return [ordered[rank - 1] for rank in ranks]
    latest = max(events, key=lambda each: (each.time, f"{each.source} {each.id}"))
    made: dict[Aggregation, Decimal | None] = {
        Aggregation.AVERAGE: sum(numbers, Decimal(0)) / len(numbers),
        Aggregation.MIN: min(numbers),
        Aggregation.MAX: max(numbers),
        Aggregation.LATEST: number_of(value_of(latest, measure.property)),
    }
    return [made[measure.aggregation]]


def rolling_of(database: Database, at_once: int = 2_000) -> Rolling:
    """What keeps rollups up to date, with so many touched minutes at a time."""
    return Rolling(database.store(EVENTS), database.store(EVENTS_CONFIGURATION), at_once=at_once)

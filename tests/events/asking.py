"""What callers ask about events, for tests over the wire."""

import json
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

from backroom.events.v1 import event_queries_pb2 as queries
from backroom.events.v1 import event_query_service_pb2 as pb
from backroom.events.v1 import event_service_pb2, events_pb2
from server.frame.wire import timestamp
from tests.fixtures.servers import Api

TODAY = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
BEGIN = TODAY - timedelta(days=30)
"""Of what the tests send: not too old to be taken."""
_A_MONTH = timedelta(days=30)


def fresh() -> str:
    return str(uuid4())


def event(kind: str, at: datetime, data: Any = None, *, subject: str = "", id: str = "") -> events_pb2.Event:  # noqa: A002
    """An event as it is sent."""
    return events_pb2.Event(
        id=id or fresh(),
        source="/shop",
        type=kind,
        subject=subject,
        time=timestamp(at),
        data="" if data is None else json.dumps(data),
    )


async def sent(api: Api, events: Iterable[events_pb2.Event]) -> None:
    """Sends events, all of which must be stored."""
    request = event_service_pb2.IngestEventsRequest(events=events)
    answer = await api.events.IngestEvents(request)
    assert {each.outcome for each in answer.verdicts} == {events_pb2.OUTCOME_STORED}, answer


def measure(kind: str, aggregation: str = "COUNT", name: str = "", **rest: Any) -> queries.Measure:
    return queries.Measure(
        event_type=kind, aggregation=queries.Aggregation.Value(f"AGGREGATION_{aggregation}"), property=name, **rest
    )


def where(name: str, operator: str, *values: str) -> queries.EventPropertyFilter:
    return queries.EventPropertyFilter(
        property=name, operator=queries.FilterOperator.Value(f"FILTER_OPERATOR_{operator}"), values=values
    )


def period(
    granularity: str = "DAY", zone: str = "", start: datetime = BEGIN, length: timedelta = _A_MONTH
) -> queries.QueryPeriod:
    return queries.QueryPeriod(
        start_time=timestamp(start),
        end_time=timestamp(start + length),
        granularity=queries.Granularity.Value(f"GRANULARITY_{granularity}"),
        time_zone=zone,
    )


async def series(api: Api, counted: queries.Measure, over: queries.QueryPeriod, **rest: Any) -> Sequence[Any]:
    request = pb.QueryTimeSeriesRequest(measure=counted, period=over, **rest)
    found: Sequence[Any] = (await api.event_queries.QueryTimeSeries(request)).series
    return found


async def metered(api: Api, name: str, over: queries.QueryPeriod, **rest: Any) -> Sequence[Any]:
    request = pb.QueryMeterRequest(name=name, period=over, **rest)
    found: Sequence[Any] = (await api.event_queries.QueryMeter(request)).series
    return found


async def meter(api: Api, name: str, counted: queries.Measure, *group_by: str) -> queries.Meter:
    made = queries.Meter(name=name, measure=counted, group_by=group_by)
    request = pb.CreateMeterRequest(request_id=fresh(), meter=made)
    answer: queries.Meter = (await api.event_queries.CreateMeter(request)).meter
    return answer


def told(found: Any) -> list[tuple[str, ...]]:
    """The values of a series, of the buckets in which anything happened."""
    return [tuple(point.values) for point in found.points if point.count]


def groups(found: Sequence[Any]) -> list[list[str | None] | None]:
    """The groups of series; None for all others."""
    return [
        None if each.other else [value.value if value.HasField("value") else None for value in each.group]
        for each in found
    ]

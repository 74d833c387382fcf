"""A day's order lines as events: sent by a stream, and counted by hour."""

from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal

import grpc
from google.protobuf.timestamp_pb2 import Timestamp

from backroom.events.v1.event_queries_pb2 import (
    AGGREGATION_SUM,
    FILTER_OPERATOR_IN,
    GRANULARITY_HOUR,
    EventPropertyFilter,
    Measure,
    QueryPeriod,
    TimeSeries,
)
from backroom.events.v1.event_query_service_pb2 import QueryTimeSeriesRequest
from backroom.events.v1.event_service_pb2 import StreamEventsRequest
from backroom.events.v1.events_pb2 import OUTCOME_DUPLICATE, OUTCOME_STORED, Event
from backroom_client import AsyncBackroom, refusal_of
from replay.calling import NOT_HERE, NotShown, ReplayFailed
from replay.dataset import Order

_SOURCE, _TYPE = "/demo/online-retail", "demo.order_line"
_BATCH = 500
"""Events of one message of the stream."""


@dataclass(frozen=True, slots=True)
class CountedDay:
    """What became of a day's order lines."""

    sent: int
    stored: int
    known: int
    """Events that an earlier run has stored."""
    counted: int
    """Events of the day, as the server counts them afterwards."""
    revenue: Decimal
    """Of the day in GBP, as the server sums it up."""
    expected: Decimal
    """The sum of what was sent."""
    period: QueryPeriod
    by_hour: TimeSeries
    """The revenue."""

    @property
    def complete(self) -> bool:
        """Whether each event that was sent is stored and counted once, and the revenue is theirs to the penny."""
        return self.stored + self.known == self.sent == self.counted and self.revenue == self.expected


async def count_day(client: AsyncBackroom, orders: Sequence[Order], today: date) -> CountedDay:
    """Sends all order lines as events of yesterday, each at its hour of the day, and has them counted.

    A second time on the same day nothing is stored. Raises NotShown, and ReplayFailed where it cannot go on.
    """
    events = [*_events(orders, today - timedelta(days=1))]
    try:
        outcomes = await _sent(client, [event for event, _ in events])
        period = _period(today)
        series = await _by_hour(client, period)
    except grpc.aio.AioRpcError as error:
        refusal = refusal_of(error)
        text = f"{refusal.reason}: {refusal.message}" if refusal else error.details() or "no answer"
        if error.code() in NOT_HERE:
            raise NotShown(text) from error
        raise ReplayFailed(f"the events were not counted: {error.code().name}: {text}") from error
    return CountedDay(
        sent=len(events),
        stored=outcomes.count(OUTCOME_STORED),
        known=outcomes.count(OUTCOME_DUPLICATE),
        counted=sum(point.count for point in series.points),
        revenue=sum((Decimal(point.values[0]) for point in series.points), Decimal(0)),
        expected=sum((revenue for _, revenue in events), Decimal(0)),
        period=period,
        by_hour=series,
    )


def _events(orders: Sequence[Order], day: date) -> Iterator[tuple[Event, Decimal]]:
    """An event of each line, and its revenue."""
    for order in orders:
        when = _stamp(datetime.combine(day, order.time.time(), UTC))
        for place, line in enumerate(order.lines, 1):
            revenue = line.quantity * line.unit_price
            yield (
                Event(
                    id=f"{day}/{order.invoice}/{place}",
                    source=_SOURCE,
                    type=_TYPE,
                    subject=order.customer_id,
                    time=when,
                    data=f'{{"invoice":"{order.invoice}","quantity":{line.quantity},"revenue":{revenue:f}}}',
                ),
                revenue,
            )


async def _sent(client: AsyncBackroom, events: Sequence[Event]) -> Sequence[int]:
    """What became of each."""

    async def batches() -> AsyncIterator[StreamEventsRequest]:
        for start in range(0, len(events), _BATCH):
            yield StreamEventsRequest(events=events[start : start + _BATCH])

    return [verdict.outcome async for answer in client.events.StreamEvents(batches()) for verdict in answer.verdicts]


async def _by_hour(client: AsyncBackroom, period: QueryPeriod) -> TimeSeries:
    ours = EventPropertyFilter(property="$source", operator=FILTER_OPERATOR_IN, values=[_SOURCE])
    measure = Measure(event_type=_TYPE, aggregation=AGGREGATION_SUM, property="revenue", filters=[ours])
    request = QueryTimeSeriesRequest(measure=measure, period=period)
    (series,) = (await client.event_queries.QueryTimeSeries(request)).series
    return series


def _period(today: date) -> QueryPeriod:
    """Yesterday, by hour."""
    start, end = (_stamp(datetime.combine(day, time(), UTC)) for day in (today - timedelta(days=1), today))
    return QueryPeriod(start_time=start, end_time=end, granularity=GRANULARITY_HOUR)


def _stamp(when: datetime) -> Timestamp:
    stamp = Timestamp()
    stamp.FromDatetime(when)
    return stamp

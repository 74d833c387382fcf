"""Series as charts, and what links to them hold."""

from collections.abc import Sequence
from decimal import Decimal
from uuid import UUID
from zoneinfo import ZoneInfo

from backroom.events.v1 import event_queries_pb2 as queries
from backroom.events.v1 import event_query_service_pb2 as pb
from server.events.drawing import Chart, Dot, Line
from server.events.messages.queries import GRANULARITIES, meter_query, series_query
from server.events.rules.asking import MeterQuery, SeriesQuery
from server.events.rules.chart_links import ChartKind, ChartLink
from server.frame import base64url
from server.frame.wire import time_of
from storage.events.measures import Aggregation, Measure

_NONE, _OTHERS = "(none)", "all others"
_NO_END = 9_999_999_999
"""As long as any end, so that a link with one is not longer."""


def chart_link(request: pb.CreateChartLinkRequest, account_id: UUID) -> tuple[ChartLink, SeriesQuery | MeterQuery]:
    """What a link is to permit, and what it asks; its end is still to be said."""
    query: pb.QueryTimeSeriesRequest | pb.QueryMeterRequest
    if request.WhichOneof("query") == "meter":
        kind, query = ChartKind.METER, request.meter
    else:
        kind, query = ChartKind.TIME_SERIES, request.time_series
    asked = base64url.encoded(query.SerializeToString(deterministic=True))
    link = ChartLink(kind, asked, request.title, account_id, _NO_END, request.ends_now)
    return link, query_of(link)


def query_of(link: ChartLink) -> SeriesQuery | MeterQuery:
    """What a link asks."""
    asked = base64url.decoded(link.query)
    if link.kind is ChartKind.METER:
        return meter_query(pb.QueryMeterRequest.FromString(asked))
    return series_query(pb.QueryTimeSeriesRequest.FromString(asked))


def title_of(measure: Measure) -> str:
    """What a chart is called that has no title of its own."""
    if measure.aggregation is Aggregation.COUNT:
        return f"Number of {measure.event_type}"
    made = "distinct values" if measure.aggregation is Aggregation.DISTINCT else measure.aggregation.value
    return f"{made.capitalize()} of {measure.property} of {measure.event_type}"


def chart(
    title: str,
    period: queries.QueryPeriod,
    percentiles: Sequence[float],
    series: Sequence[queries.TimeSeries],
) -> Chart:
    """A line for each series, and of percentiles one for each of them."""
    granularity, zone = GRANULARITIES.member(period.granularity), ZoneInfo(period.time_zone or "UTC")
    lines = [
        Line(_name(each, f"p{percentiles[place]:g}" if percentiles else ""), _dots(each, place))
        for each in series
        for place in range(max(1, len(percentiles)))
    ]
    return Chart(title, granularity, zone, lines)


def _name(series: queries.TimeSeries, percentile: str) -> str:
    groups = [each.value if each.HasField("value") else _NONE for each in series.group]
    return " ".join(filter(None, [", ".join(groups), _OTHERS if series.other else "", percentile]))


def _dots(series: queries.TimeSeries, place: int) -> Sequence[Dot]:
    return [
        Dot(
            time_of(each.start_time),
            time_of(each.end_time),
            Decimal(each.values[place]) if each.values else None,
            each.partial,
            each.estimated,
        )
        for each in series.points
    ]

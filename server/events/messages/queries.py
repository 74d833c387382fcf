"""What is asked about events, and meters: messages to plain values, and back."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from backroom.events.v1 import event_queries_pb2 as queries
from backroom.events.v1 import event_query_service_pb2 as pb
from server.events.rules.asking import DEFAULT_TOP, MeterQuery, Period, SeriesQuery
from server.events.rules.retention import CohortCounts
from server.events.rules.series import Series
from server.events.rules.windows import EARLIEST, Granularity
from server.events.service.meters import MeterDraft
from server.frame.editing import Edit, as_sent, edit_of, etag_of
from server.frame.wire import EnumNames, bound_of, require, timestamp
from storage.events.measures import (
    Aggregation,
    FilterOperator,
    Funnel,
    FunnelCounts,
    FunnelPerson,
    Measure,
    Meter,
    PropertyFilter,
    Step,
)

_AGGREGATIONS = EnumNames(Aggregation, queries.Aggregation)
GRANULARITIES = EnumNames(Granularity, queries.Granularity)
_OPERATORS = EnumNames(FilterOperator, queries.FilterOperator)
_UTC = "UTC"


def series_query(request: pb.QueryTimeSeriesRequest) -> SeriesQuery:
    top = request.top or DEFAULT_TOP
    return SeriesQuery(measure(request.measure), period(request.period), tuple(request.group_by), top)


def meter_query(request: pb.QueryMeterRequest) -> MeterQuery:
    top = request.top or DEFAULT_TOP
    return MeterQuery(
        request.name, period(request.period), tuple(request.group_by), top, property_filters(request.filters)
    )


def measure(sent: queries.Measure) -> Measure:
    return Measure(
        sent.event_type,
        _AGGREGATIONS.member(sent.aggregation),
        sent.property,
        tuple(sent.percentiles),
        property_filters(sent.filters),
    )


def property_filters(sent: Sequence[queries.EventPropertyFilter]) -> tuple[PropertyFilter, ...]:
    return tuple(PropertyFilter(each.property, _OPERATORS.member(each.operator), tuple(each.values)) for each in sent)


def period(sent: queries.QueryPeriod) -> Period:
    granularity = GRANULARITIES.member(sent.granularity)
    return Period(bound_of(sent.start_time), bound_of(sent.end_time), granularity, sent.time_zone or _UTC)


def time_series(found: Series) -> queries.TimeSeries:
    return queries.TimeSeries(
        group=(queries.GroupValue(property=name, value=value) for name, value in found.group),
        other=found.other,
        points=(
            queries.Point(
                start_time=timestamp(point.bucket.start),
                end_time=timestamp(point.bucket.end),
                partial=point.partial,
                count=point.count,
                values=point.values,
                estimated=point.estimated,
            )
            for point in found.points
        ),
    )


def meter_draft(sent: queries.Meter) -> MeterDraft:
    """Raises FieldInvalid where the name or the measure is missing."""
    require(sent, "name", "measure")
    return MeterDraft(sent.name, sent.description, measure(sent.measure), tuple(sent.group_by))


def meter_edit(request: pb.UpdateMeterRequest) -> Edit[str]:
    return edit_of(request.meter, request.update_mask, ("name", str), as_sent("description"))


def meter(kept: Meter, ready_from: datetime | None = None) -> queries.Meter:
    return queries.Meter(
        name=kept.name,
        description=kept.description,
        measure=_measure(kept.measure),
        group_by=kept.group_by,
        # Rollups that reach back to the first possible event reach back as far as anybody can ask.
        ready_from_time=timestamp(ready_from and max(ready_from, EARLIEST)),
        etag=etag_of(kept),
        create_time=timestamp(kept.create_time),
        update_time=timestamp(kept.update_time),
    )


def _measure(kept: Measure) -> queries.Measure:
    return queries.Measure(
        event_type=kept.event_type,
        aggregation=_AGGREGATIONS.wire(kept.aggregation),
        property=kept.property,
        percentiles=kept.percentiles,
        filters=(
            queries.EventPropertyFilter(
                property=each.property, operator=_OPERATORS.wire(each.operator), values=each.values
            )
            for each in kept.filters
        ),
    )


def funnel(sent: queries.Funnel) -> Funnel:
    return Funnel(
        tuple(step(each) for each in sent.steps),
        bound_of(sent.start_time),
        bound_of(sent.end_time),
        timedelta(seconds=sent.window_seconds),
        sent.breakdown,
    )


def step(sent: queries.FunnelStep) -> Step:
    return Step(sent.event_type, property_filters(sent.filters))


def funnel_counts(
    total: Sequence[int], found: Sequence[FunnelCounts], breakdown: str
) -> Sequence[queries.FunnelCounts]:
    """All people first, and then what they are broken down to."""
    counts = [queries.FunnelCounts(people=total)]
    if breakdown:
        counts += [
            queries.FunnelCounts(
                group=queries.GroupValue(property=breakdown, value=each.group) if each.rank else None,
                other=not each.rank,
                people=each.people,
            )
            for each in found
        ]
    return counts


def funnel_person(found: FunnelPerson) -> pb.FunnelPerson:
    return pb.FunnelPerson(subject=found.subject, reached=found.reached)


def group(request: pb.ListFunnelPeopleRequest) -> tuple[str | None] | None:
    """The group that is asked for; None for people of all groups."""
    if not request.HasField("group"):
        return None
    return (request.group.value if request.group.HasField("value") else None,)


def cohort(found: CohortCounts) -> queries.Cohort:
    return queries.Cohort(
        start_time=timestamp(found.bucket.start),
        end_time=timestamp(found.bucket.end),
        people=found.people,
        returned=found.returned,
        partial=found.partial,
    )

"""What can be asked about events, and what is wrong with what cannot."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal, InvalidOperation
from zoneinfo import ZoneInfo

from server.events.rules.windows import EARLIEST, LATEST, Bucket, Granularity, TooManyBuckets, buckets
from server.frame.errors import FieldInvalid
from server.frame.local_time import TimeZoneUnknown, time_zone
from storage.events.measures import (
    SOURCE,
    SUBJECT,
    Aggregation,
    FilterOperator,
    Funnel,
    Measure,
    PropertyFilter,
    Step,
)

MAX_POINTS = 10_000
"""Of an answer."""
MAX_COHORTS = 100
DEFAULT_TOP = 10
_VALUELESS = (FilterOperator.EXISTS, FilterOperator.NOT_EXISTS)
_LISTED = (FilterOperator.IN, FilterOperator.NOT_IN)
_MAX_EXPONENT = 300
"""Of a number that others are compared with."""


@dataclass(frozen=True, slots=True)
class Period:
    """A time, and how it is divided."""

    start: datetime
    end: datetime
    granularity: Granularity
    time_zone: str


@dataclass(frozen=True, slots=True)
class SeriesQuery:
    """What is asked as a time series."""

    measure: Measure
    period: Period
    group_by: tuple[str, ...] = ()
    top: int = DEFAULT_TOP


@dataclass(frozen=True, slots=True)
class MeterQuery:
    """What is asked of a meter."""

    name: str
    period: Period
    group_by: tuple[str, ...] = ()
    top: int = DEFAULT_TOP
    filters: tuple[PropertyFilter, ...] = ()


def check_measure(measure: Measure, path: str) -> None:
    """Raises FieldInvalid, naming what is wrong by its path below this one."""
    counts, percentiles = measure.aggregation is Aggregation.COUNT, measure.aggregation is Aggregation.PERCENTILES
    if counts and measure.property:
        raise FieldInvalid.of(f"{path}.property", "must be empty where events are counted: use a filter instead")
    if not counts:
        check_property(measure.property, f"{path}.property")
    if percentiles != bool(measure.percentiles):
        said = "is required" if percentiles else "must be empty for any other aggregation than percentiles"
        raise FieldInvalid.of(f"{path}.percentiles", said)
    check_filters(measure.filters, f"{path}.filters")


def check_property(name: str, path: str) -> None:
    """Raises FieldInvalid where a property is missing or is no path of keys."""
    if not name:
        raise FieldInvalid.of(path, "is required")
    if name.startswith("$") and name not in (SOURCE, SUBJECT):
        raise FieldInvalid.of(path, f"is no attribute of an event: only {SOURCE} and {SUBJECT} are")
    if not all(name.split(".")):
        raise FieldInvalid.of(path, "must be keys with single dots between them")


def check_properties(names: Sequence[str], path: str) -> None:
    """The same of several."""
    for place, name in enumerate(names):
        check_property(name, f"{path}[{place}]")


def check_filters(filters: Sequence[PropertyFilter], path: str) -> None:
    """Raises FieldInvalid."""
    for place, each in enumerate(filters):
        check_property(each.property, f"{path}[{place}].property")
        number, where = len(each.values), f"{path}[{place}].values"
        if each.operator in _VALUELESS:
            if number:
                raise FieldInvalid.of(where, "must be empty for this operator")
        elif each.operator in _LISTED:
            if not number:
                raise FieldInvalid.of(where, "is required for this operator")
        elif number != 1 or not _is_number(each.values[0]):
            raise FieldInvalid.of(where, "must be one decimal number for this operator")


def _is_number(text: str) -> bool:
    try:
        number = Decimal(text)
    except InvalidOperation:
        return False
    return text.isascii() and "_" not in text and number.is_finite() and abs(number.adjusted()) <= _MAX_EXPONENT


def check_meter_query(query: MeterQuery, group_by: Sequence[str]) -> None:
    """Raises FieldInvalid where a property is not one by which the meter is grouped, or a filter compares numbers."""
    said = "is not one by which the meter is grouped"
    for place, name in enumerate(query.group_by):
        if name not in group_by:
            raise FieldInvalid.of(f"group_by[{place}]", said)
    check_filters(query.filters, "filters")
    for place, each in enumerate(query.filters):
        if each.property not in group_by:
            raise FieldInvalid.of(f"filters[{place}].property", said)
        if each.operator not in (*_VALUELESS, *_LISTED):
            raise FieldInvalid.of(f"filters[{place}].operator", "compares numbers, and a meter knows values as text")


def check_funnel(funnel: Funnel) -> None:
    """Raises FieldInvalid."""
    if funnel.end != funnel.start:  # in no time at all, nobody does anything
        _check_times(funnel.start, funnel.end, "funnel")
    if funnel.end > LATEST - timedelta(days=366):
        raise FieldInvalid.of("funnel.end_time", f"must be before {LATEST.year - 1}")
    for place, step in enumerate(funnel.steps):
        check_filters(step.filters, f"funnel.steps[{place}].filters")
    if funnel.breakdown:
        check_property(funnel.breakdown, "funnel.breakdown")


def check_steps(first: Step, returning: Step) -> None:
    """Raises FieldInvalid."""
    check_filters(first.filters, "first.filters")
    check_filters(returning.filters, "returning.filters")


def buckets_of(period: Period, series: int, *, most: int = MAX_POINTS) -> Sequence[Bucket]:
    """The buckets of a period, for so many series; raises FieldInvalid where that makes too many points."""
    zone = zone_of(period)
    _check_times(period.start, period.end, "period")
    try:
        return buckets(zone, period.granularity, period.start, period.end, most=most // series)
    except TooManyBuckets:
        each = f", each in {series} series" if series > 1 else ""
        said = f"has more than {most // series:,} buckets{each}: choose a shorter period or longer buckets"
        raise FieldInvalid.of("period", said) from None


def zone_of(period: Period) -> ZoneInfo:
    """The period's time zone; raises FieldInvalid."""
    try:
        return time_zone(period.time_zone)
    except TimeZoneUnknown as error:
        raise FieldInvalid.of("period.time_zone", str(error)) from None


def _check_times(start: datetime, end: datetime, path: str) -> None:
    if start < EARLIEST:
        raise FieldInvalid.of(f"{path}.start_time", f"must be in {EARLIEST.year} or later")
    if end >= LATEST:
        raise FieldInvalid.of(f"{path}.end_time", f"must be before {LATEST.year}")
    if end <= start:
        raise FieldInvalid.of(f"{path}.end_time", "must be after the start_time")

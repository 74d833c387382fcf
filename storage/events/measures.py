"""What is counted of which events, and what was counted: the values that queries, meters and rollups share."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from enum import IntEnum, StrEnum
from uuid import UUID

SOURCE, SUBJECT = "$source", "$subject"
"""The properties that are an event's own attributes; any other is a path in its data, with dots between the keys."""
MAX_GROUP_CHARACTERS = 200
"""Of a value by which events are grouped; a longer one is cut."""
EXACT_DISTINCT = 10_000
"""Up to so many distinct values are counted exactly, and above that estimated."""


REGISTER_BITS = 14
"""Of a value's hash: by which register of a HyperLogLog it counts."""
VALUE_BITS = 64 - REGISTER_BITS
RELATIVE_ERROR = 0.01
"""Of a percentile."""
GAMMA = (1 + RELATIVE_ERROR) / (1 - RELATIVE_ERROR)
"""By how much the bounds of two bins of a DDSketch differ that lie beside each other."""
BIN_SHIFT = 100_000
"""By how much a bin is shifted away from 0, so that its sign is that of its numbers; 0 is the bin of 0."""


class Aggregation(StrEnum):
    """What is made of the events of a bucket."""

    COUNT = "count"
    SUM = "sum"
    AVERAGE = "average"
    MIN = "min"
    MAX = "max"
    LATEST = "latest"
    DISTINCT = "distinct"
    PERCENTILES = "percentiles"


class FilterOperator(StrEnum):
    """How a filter looks at a property."""

    IN = "in"
    NOT_IN = "not_in"
    EXISTS = "exists"
    NOT_EXISTS = "not_exists"
    LESS = "less"
    LESS_OR_EQUAL = "less_or_equal"
    GREATER = "greater"
    GREATER_OR_EQUAL = "greater_or_equal"


@dataclass(frozen=True, slots=True)
class PropertyFilter:
    """Which events count, by one property."""

    property: str
    operator: FilterOperator
    values: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Measure:
    """What is counted of which events."""

    event_type: str
    aggregation: Aggregation = Aggregation.COUNT
    property: str = ""
    """Empty where events are counted."""
    percentiles: tuple[float, ...] = ()
    """Between 0 and 100."""
    filters: tuple[PropertyFilter, ...] = ()


@dataclass(frozen=True, slots=True)
class Meter:
    """A measure with a name, of which rollups are kept."""

    id: UUID
    """Of its rollups: a later meter of the same name has another."""
    name: str
    description: str
    measure: Measure
    group_by: tuple[str, ...]
    version: int
    create_time: datetime
    update_time: datetime


@dataclass(frozen=True, slots=True)
class RollupSeries:
    """What rollups are kept of."""

    series: str
    """Its name in the table."""
    measure: Measure
    group_by: tuple[str, ...] = ()


def series_of_type(event_type: str) -> RollupSeries:
    """All events of a type, counted."""
    return RollupSeries(f"type:{event_type}", Measure(event_type))


def series_of_meter(meter: Meter) -> RollupSeries:
    """What a meter counts."""
    return RollupSeries(f"meter:{meter.id}", meter.measure, meter.group_by)


class Level(IntEnum):
    """How long the bucket of a rollup is, by UTC; each is made of those of the one before."""

    MINUTE = 0
    HOUR = 1
    DAY = 2


@dataclass(frozen=True, slots=True)
class Span:
    """A time from its start on and before its end."""

    start: datetime
    end: datetime


@dataclass(frozen=True, slots=True)
class Rolled:
    """A time whose rollups of one level are exact; it begins and ends with a bucket of that level."""

    level: Level
    start: datetime
    end: datetime


@dataclass(frozen=True, slots=True)
class Sources:
    """Where the events of a period are counted: in rollups, and one by one."""

    rolled: Sequence[Rolled]
    raw: Sequence[Span]


@dataclass(frozen=True, slots=True)
class Ask:
    """What is asked of a measure."""

    measure: Measure
    starts: Sequence[datetime]
    """Where the buckets begin, in order; the last one ends where the sources do."""
    group_by: tuple[str, ...] = ()
    group_filters: tuple[PropertyFilter, ...] = ()
    """Of properties by which events may be grouped: they see a value as a group has it, as text and cut."""
    top: int = 0
    """How many groups are told by themselves."""


@dataclass(frozen=True, slots=True)
class Tally:
    """What was counted in one bucket, of one group or of all others."""

    place: int
    """The bucket's, from 0 on."""
    rank: int
    """The group's, from 1 on; 0 for all others, and where nothing is grouped."""
    group: tuple[str | None, ...]
    """The values of the properties by which it is grouped, of those that have them; empty for all others."""
    count: int
    """How many events have a value that counts."""
    total: Decimal | None = None
    average: Decimal | None = None
    low: Decimal | None = None
    high: Decimal | None = None
    latest: Decimal | None = None
    distinct: int | None = None
    """Exactly; None where there are too many."""
    registers: tuple[tuple[int, int], ...] = ()
    """Of a HyperLogLog, where there are too many distinct values: each value of a register, and how many have it."""
    marks: tuple[int, ...] = ()
    """Of a DDSketch: the bin of each percentile."""


@dataclass(frozen=True, slots=True)
class Step:
    """What people do: an event of a type that passes all filters."""

    event_type: str
    filters: tuple[PropertyFilter, ...] = ()


@dataclass(frozen=True, slots=True)
class Funnel:
    """Who does one thing and then the next, within a time from the first on."""

    steps: tuple[Step, ...]
    start: datetime
    """Of the period in which the first step is."""
    end: datetime
    window: timedelta
    breakdown: str = ""
    """A property of the first event of the first step; empty for none."""


@dataclass(frozen=True, slots=True)
class FunnelCounts:
    """How many people reached each step."""

    group: str | None
    rank: int
    """The group's, from 1 on; 0 for the people of all other groups together, and without a breakdown."""
    people: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class FunnelPerson:
    """Who reached which step."""

    subject: str
    reached: int


@dataclass(frozen=True, slots=True)
class Returned:
    """How many people of one cohort did something in one bucket."""

    cohort: int
    """The bucket of their first event, from 0 on."""
    later: int | None
    """How many buckets later; None for all people of the cohort."""
    people: int

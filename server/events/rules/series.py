"""Time series out of what was counted: every bucket has a point, whether anything happened in it or not."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from server.events.rules.sketches import distinct_estimate, percentile_estimate
from server.events.rules.windows import Bucket
from storage.events.measures import Aggregation, Measure, Tally


@dataclass(frozen=True, slots=True)
class Point:
    """What was counted in one bucket."""

    bucket: Bucket
    partial: bool
    count: int
    """How many events have a value that counts."""
    values: tuple[str, ...] = ()
    """As decimal numbers: one for each percentile, and otherwise one; none where there is nothing to say."""
    estimated: bool = False


@dataclass(frozen=True, slots=True)
class Series:
    """The points of one group, of all others together, or of all events."""

    group: tuple[tuple[str, str | None], ...]
    """The properties by which it is grouped, with the value of each, or None for events without it."""
    other: bool
    points: Sequence[Point]


def series_of(
    measure: Measure, group_by: Sequence[str], buckets: Sequence[Bucket], tallies: Sequence[Tally], now: datetime
) -> Sequence[Series]:
    """One series of all; or where it is grouped, one for each rank, and then that of the others if there are any."""
    found: dict[int, dict[int, Tally]] = {}
    for tally in tallies:
        found.setdefault(tally.rank, {})[tally.place] = tally
    if not group_by:
        return [Series((), False, _points(measure, buckets, found.get(1, {}), now))]
    ranks = sorted(found, key=lambda rank: (rank == 0, rank))
    return [
        Series(_group(group_by, found[rank]) if rank else (), rank == 0, _points(measure, buckets, found[rank], now))
        for rank in ranks
    ]


def _group(group_by: Sequence[str], tallies: dict[int, Tally]) -> tuple[tuple[str, str | None], ...]:
    return tuple(zip(group_by, next(iter(tallies.values())).group, strict=True))


def _points(measure: Measure, buckets: Sequence[Bucket], tallies: dict[int, Tally], now: datetime) -> Sequence[Point]:
    return [_point(measure, bucket, tallies.get(place), now) for place, bucket in enumerate(buckets)]


def _point(measure: Measure, bucket: Bucket, tally: Tally | None, now: datetime) -> Point:
    partial = bucket.partial(now)
    if tally is None:
        additive = measure.aggregation in (Aggregation.COUNT, Aggregation.SUM, Aggregation.DISTINCT)
        return Point(bucket, partial, 0, ("0",) if additive else ())
    values, estimated = _values(measure, tally)
    return Point(bucket, partial, tally.count, tuple(map(decimal_text, values)), estimated)


def _values(measure: Measure, tally: Tally) -> tuple[Sequence[Decimal], bool]:
    """What is said of a bucket, and whether that is an estimate."""
    match measure.aggregation:
        case Aggregation.COUNT:
            return [Decimal(tally.count)], False
        case Aggregation.DISTINCT:
            if tally.distinct is not None:
                return [Decimal(tally.distinct)], False
            return [Decimal(distinct_estimate(dict(tally.registers)))], True
        case Aggregation.PERCENTILES:
            low, high = _there(tally.low), _there(tally.high)
            return [percentile_estimate(mark, low, high) for mark in tally.marks], low != high
    number = {
        Aggregation.SUM: tally.total,
        Aggregation.AVERAGE: tally.average,
        Aggregation.MIN: tally.low,
        Aggregation.MAX: tally.high,
        Aggregation.LATEST: tally.latest,
    }[measure.aggregation]
    return [_there(number)], False


def _there(number: Decimal | None) -> Decimal:
    if number is None:
        raise ValueError("what was counted lacks the number that was asked for")
    return number


def decimal_text(number: Decimal) -> str:
    """A number by its digits, such as "12.5"; there is one zero, and it has no sign."""
    text = format(number, "f")
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text == "-0" else text

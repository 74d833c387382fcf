"""Buckets of time, as the clocks of a zone divide it: from minutes to years."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from itertools import pairwise
from zoneinfo import ZoneInfo

from server.frame.local_time import clock_changes, instant_of, local_of

EARLIEST, LATEST = datetime(1970, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)
"""Between which buckets are made: before 1970 zones kept the time of single towns, to the second."""
_DAYS = 7


class Granularity(StrEnum):
    """How long a bucket is."""

    MINUTE = "minute"
    HOUR = "hour"
    DAY = "day"
    WEEK = "week"
    MONTH = "month"
    QUARTER = "quarter"
    YEAR = "year"


_SECONDS = {Granularity.MINUTE: 60, Granularity.HOUR: 3600}
_MONTHS = {Granularity.MONTH: 1, Granularity.QUARTER: 3, Granularity.YEAR: 12}


class TooManyBuckets(ValueError):
    """A period has more buckets than are allowed."""


@dataclass(frozen=True, slots=True)
class Bucket:
    """A part of a period: from its start on, and before its end."""

    start: datetime
    """In UTC."""
    end: datetime
    cut: bool = False
    """Whether the period begins or ends within it, so that it is not whole."""

    def partial(self, now: datetime) -> bool:
        """Whether it is not whole: cut, or not over yet."""
        return self.cut or now < self.end


def buckets(zone: ZoneInfo, granularity: Granularity, start: datetime, end: datetime, *, most: int) -> Sequence[Bucket]:
    """The buckets of a period, in order and without a gap; the first and the last one are cut to the period.

    A day, and whatever is longer, begins when the clocks first show its date, and lasts until they first show that of
    the next one: 23 or 25 hours, where the clocks change on it. A week begins on Monday. A date that the clocks skip
    has no bucket.
    An hour or a minute begins whenever the clocks show a new one, or are set back: an hour that they show twice is two
    buckets, and one that they skip is none.
    Raises TooManyBuckets.
    """
    found: list[Bucket] = []
    for first, following in pairwise(starts(zone, granularity, start)):
        if first >= end:
            break
        if len(found) == most:
            raise TooManyBuckets
        found.append(Bucket(max(first, start), min(following, end), cut=first < start or following > end))
    return found


def starts(zone: ZoneInfo, granularity: Granularity, instant: datetime) -> Iterator[datetime]:
    """When the bucket begins that an instant lies in, and each one after it, until the year 2201."""
    if seconds := _SECONDS.get(granularity):
        return _by_clock(zone, seconds, instant)
    return _by_date(zone, granularity, instant)


def _by_clock(zone: ZoneInfo, seconds: int, instant: datetime) -> Iterator[datetime]:
    """The last start up to the instant is not more than a bucket's length before it."""
    last: datetime | None = None
    for start in _clock_starts(zone, seconds, _whole_seconds(instant) - timedelta(seconds=seconds)):
        if start > instant and last is not None:
            yield last
        last = start


def _clock_starts(zone: ZoneInfo, seconds: int, begin: datetime) -> Iterator[datetime]:
    """All starts after an instant, by the offsets that hold between two changes of the clocks."""
    end = LATEST + timedelta(days=366)
    while begin < end:
        # Far enough for one look at the clocks to be of use, and near enough for a minute's to be quick.
        until = min(begin + timedelta(seconds=seconds * 500), end)
        for change in clock_changes(zone, begin, until):
            yield from _multiples(begin, change.instant, seconds, change.before)
            shown, would_be = change.instant + change.after, change.instant + change.before - timedelta(microseconds=1)
            if change.after < change.before or _floor(shown, seconds) != _floor(would_be, seconds):
                yield change.instant
            begin = change.instant
        yield from _multiples(begin, until, seconds, _offset(zone, begin))
        if _is_multiple(until, seconds, _offset(zone, begin)) and _offset(zone, until) == _offset(zone, begin):
            yield until
        begin = until


def _multiples(begin: datetime, end: datetime, seconds: int, offset: timedelta) -> Iterator[datetime]:
    """The instants after one and before another one at which clocks with this offset show a whole bucket."""
    step = timedelta(seconds=seconds)
    instant = _floor(begin + offset, seconds) - offset + step
    while instant < end:
        yield instant
        instant += step


def _is_multiple(instant: datetime, seconds: int, offset: timedelta) -> bool:
    return _floor(instant + offset, seconds) == instant + offset


def _floor(shown: datetime, seconds: int) -> datetime:
    since = int((shown - EARLIEST).total_seconds() // seconds) * seconds
    return EARLIEST + timedelta(seconds=since)


def _offset(zone: ZoneInfo, instant: datetime) -> timedelta:
    return local_of(instant, zone) - instant.replace(tzinfo=None)


def _whole_seconds(instant: datetime) -> datetime:
    return instant.replace(microsecond=0)


def _by_date(zone: ZoneInfo, granularity: Granularity, instant: datetime) -> Iterator[datetime]:
    day = first_day(granularity, local_of(instant, zone).date())
    last = first_shown(zone, day)
    while day.year <= LATEST.year:
        day = _next_day(granularity, day)
        start = first_shown(zone, day)
        # Where the clocks are set back over midnight, the next date has begun; where a date is skipped, none has.
        if start > instant and start > last:
            yield last
        last = start
    yield last


def first_shown(zone: ZoneInfo, day: date) -> datetime:
    """When the clocks of a zone first show a date, or a later one where they skip it."""
    midnight = datetime.combine(day, time())
    shown = instant_of(midnight, zone)
    if shown is not None:
        return shown
    # The clocks skip midnight: what is left of the day begins as they are put forward.
    after, before = (midnight.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (1, 0))
    (change,) = clock_changes(zone, after - timedelta(seconds=1), before)
    return change.instant


def first_day(granularity: Granularity, day: date) -> date:
    """The first day of the bucket of a day, by the calendar."""
    if granularity is Granularity.WEEK:
        return day - timedelta(days=day.weekday())
    if months := _MONTHS.get(granularity):
        return day.replace(month=(day.month - 1) // months * months + 1, day=1)
    return day


def _next_day(granularity: Granularity, day: date) -> date:
    if months := _MONTHS.get(granularity):
        month = day.month - 1 + months
        return day.replace(year=day.year + month // 12, month=month % 12 + 1)
    return day + timedelta(days=_DAYS if granularity is Granularity.WEEK else 1)

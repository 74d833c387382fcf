"""Buckets of time in every zone, compared with what a slow and plain reading of the clocks says."""

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from server.events.rules.windows import Bucket, Granularity, TooManyBuckets, buckets, first_day
from server.frame.local_time import ClockChange, clock_changes, local_of, time_zone
from tests.fixtures.examples import examples

_ZONES = sorted(available_timezones() - {"localtime", "posixrules", "Factory"})
_FINE, _COARSE = timedelta(seconds=30), timedelta(minutes=15)
"""How often clocks are read: since 1970 no zone's have been off by a smaller part of a minute than the first."""
_BEGIN, _END = datetime(1970, 1, 5, tzinfo=UTC), datetime(2040, 1, 1, tzinfo=UTC)
_AROUND = {Granularity.DAY: 50, Granularity.HOUR: 27, Granularity.MINUTE: 2}
"""How many hours around a change are looked at."""


def told(zone: str, granularity: Granularity, start: str, end: str) -> list[tuple[str, float]]:
    """Buckets of a local period by their local starts, each with its hours."""
    where = time_zone(zone)
    first, last = (datetime.fromisoformat(each).replace(tzinfo=where).astimezone(UTC) for each in (start, end))
    return [
        (local_of(each.start, where).isoformat(timespec="minutes"), (each.end - each.start) / timedelta(hours=1))
        for each in buckets(where, granularity, first, last, most=10_000)
    ]


def by_reading_clocks(zone: ZoneInfo, granularity: Granularity, start: datetime, end: datetime) -> list[datetime]:
    """Where buckets begin between two instants, by looking at the clocks again and again."""
    return list(_turns(zone, granularity, start, end, _tick(zone, granularity, start, end)))


def _tick(zone: ZoneInfo, granularity: Granularity, start: datetime, end: datetime) -> timedelta:
    """The coarse one where what the clocks say at first, and all that they do in between, is a multiple of it."""
    changes = clock_changes(zone, start, end)
    parts = [part for each in changes for part in (each.instant - _BEGIN, each.before, each.after)]
    parts += [start - _BEGIN, start.astimezone(zone).utcoffset() or timedelta()]
    coarse = granularity is not Granularity.MINUTE and not any(part % _COARSE for part in parts)
    return _COARSE if coarse else _FINE


def _turns(
    zone: ZoneInfo, granularity: Granularity, start: datetime, end: datetime, tick: timedelta
) -> Iterator[datetime]:
    shown: Callable[[datetime], object] = {
        Granularity.MINUTE: lambda local: local.replace(second=0),
        Granularity.HOUR: lambda local: local.replace(minute=0, second=0),
        Granularity.DAY: lambda local: local.date(),
    }[granularity]
    before = local_of(start, zone)
    latest_date = before.date()
    instant = start + tick
    while instant < end:
        local = local_of(instant, zone)
        if granularity is Granularity.DAY:
            if local.date() > latest_date:
                latest_date = local.date()
                yield instant
        elif shown(local) != shown(before) or local < before:
            yield instant
        before = local
        instant += tick


@st.composite
def around_a_change(draw: st.DrawFn) -> tuple[ZoneInfo, datetime]:
    """A zone, and an instant near one of the changes of its clocks, or anywhere where it has none."""
    zone = ZoneInfo(draw(st.sampled_from(_ZONES)))
    year = draw(st.integers(_BEGIN.year, _END.year - 2))
    begin = datetime(year, 1, 2, tzinfo=UTC)
    found = [each.instant for each in clock_changes(zone, begin, begin + timedelta(days=366))]
    return zone, draw(st.sampled_from(found or [begin + timedelta(days=40)]))


@given(place=around_a_change(), granularity=st.sampled_from(list(_AROUND)))
@example(place=(ZoneInfo("Africa/Monrovia"), datetime(1970, 2, 11, tzinfo=UTC)), granularity=Granularity.DAY)
@examples(1000)
def test_buckets_begin_where_the_clocks_of_the_zone_say(
    place: tuple[ZoneInfo, datetime], granularity: Granularity
) -> None:
    """Around a change of the clocks of any zone, days, hours and minutes begin where reading the clocks says so."""
    check_around(*place, granularity)


@pytest.mark.proof
@pytest.mark.parametrize("part", range(4))
def test_buckets_begin_where_the_clocks_say_at_every_change_of_every_zone(part: int) -> None:
    """The same at each change from 1970 to 2027 of each zone of the database, zones of equal clocks once."""
    zones = _of_different_clocks()
    assert len(zones) > 200
    for zone, changes in zones[part::4]:
        for change in changes:
            odd = any(each % _COARSE for each in (change.instant - _BEGIN, change.before, change.after))
            for granularity in (Granularity.DAY, Granularity.HOUR, *([Granularity.MINUTE] if odd else [])):
                check_around(zone, change.instant, granularity)


def _of_different_clocks() -> Sequence[tuple[ZoneInfo, Sequence[ClockChange]]]:
    found: dict[tuple[ClockChange, ...], ZoneInfo] = {}
    for name in _ZONES:
        zone = ZoneInfo(name)
        found.setdefault(tuple(clock_changes(zone, _BEGIN, datetime(2028, 1, 1, tzinfo=UTC))), zone)
    return [(zone, changes) for changes, zone in found.items()]


def check_around(zone: ZoneInfo, change: datetime, granularity: Granularity) -> None:
    hours = _AROUND[granularity]
    start, end = change - timedelta(hours=hours), change + timedelta(hours=hours)
    found = buckets(zone, granularity, start, end, most=20_000)
    # What was shown before the period is not in sight of the plain reading, which is why the first one is left out.
    read = by_reading_clocks(zone, granularity, start, end)
    assert [each.start for each in found[1:]] == read, (zone.key, change, granularity)
    check_contiguous(found, start, end)


@given(
    place=around_a_change(),
    granularity=st.sampled_from([Granularity.WEEK, Granularity.MONTH, Granularity.QUARTER, Granularity.YEAR]),
)
@examples(100)
def test_longer_buckets_are_days_together(place: tuple[ZoneInfo, datetime], granularity: Granularity) -> None:
    """Weeks, months, quarters and years begin with those days that are the first ones of them that the zone shows."""
    zone, change = place
    start, end = change - timedelta(days=400), change + timedelta(days=400)
    days = buckets(zone, Granularity.DAY, start, end, most=20_000)
    longer = buckets(zone, granularity, start, end, most=20_000)
    begins: list[datetime] = []
    seen: date | None = None
    for each in days:
        shown = first_day(granularity, local_of(each.start, zone).date())
        if seen is not None and shown > seen:
            begins.append(each.start)
        seen = shown if seen is None else max(seen, shown)
    assert [each.start for each in longer[1:]] == begins
    check_contiguous(longer, start, end)


def check_contiguous(found: Sequence[Bucket], start: datetime, end: datetime) -> None:
    assert found[0].start == start
    assert found[-1].end == end
    assert all(one.end == other.start for one, other in pairwise(found))
    assert all(each.start < each.end for each in found)


def test_a_day_has_23_or_25_hours_where_the_clocks_change() -> None:
    """The days on which Berlin's clocks change are as long as they are."""
    assert told("Europe/Berlin", Granularity.DAY, "2026-03-28T00:00", "2026-03-31T00:00") == [
        ("2026-03-28T00:00", 24),
        ("2026-03-29T00:00", 23),
        ("2026-03-30T00:00", 24),
    ]
    assert told("Europe/Berlin", Granularity.DAY, "2026-10-25T00:00", "2026-10-26T00:00") == [("2026-10-25T00:00", 25)]


def test_an_hour_that_comes_twice_is_two_buckets_and_one_that_is_skipped_is_none() -> None:
    """The hours of the two nights on which Berlin's clocks change."""
    autumn = told("Europe/Berlin", Granularity.HOUR, "2026-10-25T01:00", "2026-10-25T04:00")
    assert [local[11:] for local, _ in autumn] == ["01:00", "02:00", "02:00", "03:00"]
    spring = told("Europe/Berlin", Granularity.HOUR, "2026-03-29T01:00", "2026-03-29T04:00")
    assert [local[11:] for local, _ in spring] == ["01:00", "03:00"]


@pytest.mark.parametrize(
    ("zone", "granularity", "start", "end", "expected"),
    [
        # Lord Howe's clocks are set back by half an hour.
        (
            "Australia/Lord_Howe",
            Granularity.HOUR,
            "2026-04-05T01:00",
            "2026-04-05T03:00",
            [("2026-04-05T01:00", 1), ("2026-04-05T01:30", 0.5), ("2026-04-05T02:00", 1)],
        ),
        # Samoa left out a Friday.
        (
            "Pacific/Apia",
            Granularity.DAY,
            "2011-12-29T00:00",
            "2012-01-01T00:00",
            [("2011-12-29T00:00", 24), ("2011-12-31T00:00", 24)],
        ),
        # Beirut's clocks skip midnight.
        (
            "Asia/Beirut",
            Granularity.DAY,
            "2022-03-26T00:00",
            "2022-03-28T00:00",
            [("2022-03-26T00:00", 24), ("2022-03-27T01:00", 23)],
        ),
        ("Asia/Kathmandu", Granularity.HOUR, "2026-01-01T00:00", "2026-01-01T01:00", [("2026-01-01T00:00", 1)]),
        ("UTC", Granularity.WEEK, "2026-06-01T00:00", "2026-06-08T00:00", [("2026-06-01T00:00", 168)]),
        (
            "UTC",
            Granularity.QUARTER,
            "2026-10-01T00:00",
            "2027-04-01T00:00",
            [("2026-10-01T00:00", 92 * 24), ("2027-01-01T00:00", 90 * 24)],
        ),
        ("UTC", Granularity.YEAR, "2024-01-01T00:00", "2025-01-01T00:00", [("2024-01-01T00:00", 366 * 24)]),
    ],
)
def test_buckets_of_peculiar_zones(
    zone: str, granularity: Granularity, start: str, end: str, expected: list[tuple[str, float]]
) -> None:
    """Zones that change by half an hour, skip a day or midnight, or are off by 45 minutes."""
    assert told(zone, granularity, start, end) == expected


def test_a_bucket_that_the_period_cuts_or_that_is_not_over_is_partial() -> None:
    """Of a period from noon to noon, the first and the last day are partial, and so is today."""
    start, end = datetime(2026, 6, 1, 12, tzinfo=UTC), datetime(2026, 6, 4, 12, tzinfo=UTC)
    found = buckets(time_zone("UTC"), Granularity.DAY, start, end, most=4)
    assert [each.partial(datetime(2026, 7, 1, tzinfo=UTC)) for each in found] == [True, False, False, True]
    assert [each.partial(datetime(2026, 6, 3, 1, tzinfo=UTC)) for each in found] == [True, False, True, True]


def test_more_buckets_than_allowed_are_refused() -> None:
    """A period is not divided into more buckets than are allowed."""
    start, end = datetime(2026, 6, 1, tzinfo=UTC), datetime(2026, 6, 5, tzinfo=UTC)
    with pytest.raises(TooManyBuckets):
        buckets(time_zone("UTC"), Granularity.DAY, start, end, most=3)

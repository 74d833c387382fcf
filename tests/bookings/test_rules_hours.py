"""When a resource is open, whatever the clocks do."""

from dataclasses import replace
from datetime import date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo, available_timezones

import pytest

from server.bookings.rules.hours import OpeningHours, check_hours, opening_of, seconds_of
from server.frame.errors import FieldInvalid
from storage.bookings.records import DayHours, DayPeriod, Holiday, WeeklyPeriod
from tests.bookings.values import EVERY_DAY, resource


def instant(text: str, zone: str, fold: int = 0) -> int:
    return seconds_of(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone), fold=fold))


def local_starts(hours: OpeningHours, zone: str, begin: str, end: str) -> list[str]:
    """The local times at which bookings can begin, with their offsets from UTC."""
    found = starts(hours, instant(begin, zone), instant(end, zone))
    return [datetime.fromtimestamp(each, ZoneInfo(zone)).strftime("%H:%M%z") for each in found]


def starts(hours: OpeningHours, begin: int, end: int) -> list[int]:
    """The moments at which bookings can begin, from one on and before another, in order."""
    found = []
    while begin < end:
        opening = hours.opening_at(begin)
        following = opening.next_start(begin) if opening else hours.next_opening(begin)
        if opening and following == begin:
            found.append(begin)
        begin = max(begin + 1, following)
    return found


def of(zone: str, opens: int, closes: int, step: int = 30) -> OpeningHours:
    weekly = tuple(WeeklyPeriod(day, DayPeriod(opens, closes)) for day in range(1, 8))
    return OpeningHours(resource(time_zone=zone, opening_hours=weekly, slot_step_minutes=step))


def test_times_that_the_clocks_skip_are_no_starts() -> None:
    """In the spring gap of Berlin; what opens in it opens as it ends."""
    hours = of("Europe/Berlin", 60, 240)
    found = local_starts(hours, "Europe/Berlin", "2026-03-29T00:00", "2026-03-30T00:00")
    assert found == ["01:00+0100", "01:30+0100", "03:00+0200", "03:30+0200"]
    late = of("Europe/Berlin", 150, 240)
    assert local_starts(late, "Europe/Berlin", "2026-03-29T00:00", "2026-03-30T00:00") == ["03:00+0200", "03:30+0200"]
    none = of("Europe/Berlin", 120, 180)
    assert local_starts(none, "Europe/Berlin", "2026-03-29T00:00", "2026-03-30T00:00") == []


def test_times_that_come_twice_are_two_starts() -> None:
    hours = of("Europe/Berlin", 120, 180)
    found = local_starts(hours, "Europe/Berlin", "2026-10-25T00:00", "2026-10-26T00:00")
    assert found == ["02:00+0200", "02:30+0200", "02:00+0100", "02:30+0100"]


def test_what_closes_as_the_clocks_are_turned_back_closes_once() -> None:
    """At the first 02:00, and not an hour later at the second."""
    hours = of("Europe/Berlin", 60, 120)
    begin, end = instant("2026-10-25T01:00", "Europe/Berlin"), instant("2026-10-25T02:00", "Europe/Berlin")
    assert hours.open_until(begin, end + 3600) == end
    assert hours.opening_at(instant("2026-10-25T02:00", "Europe/Berlin")) is None
    assert hours.opening_at(instant("2026-10-25T02:00", "Europe/Berlin", fold=1)) is None


@pytest.mark.parametrize(
    ("zone", "day"),
    [
        ("Europe/Berlin", "2026-03-29"),
        ("Australia/Lord_Howe", "2026-10-04"),
        ("Asia/Kathmandu", "2026-06-01"),
        ("America/Santiago", "2026-09-06"),  # at midnight
        ("Atlantic/Azores", "2026-10-25"),
    ],
)
def test_what_is_always_open_is_open_over_a_change_of_the_clocks(zone: str, day: str) -> None:
    """From day to day without a break."""
    hours = of(zone, 0, 1440)
    begin = instant(f"{day}T12:00", zone) - 36 * 3600
    assert hours.open_until(begin, begin + 72 * 3600) == begin + 72 * 3600
    found = starts(hours, begin, begin + 72 * 3600)
    assert found == sorted(set(found))
    minutes = {datetime.fromtimestamp(each, ZoneInfo(zone)).minute for each in found}
    assert minutes == {0, 30}


def test_exceptions_precede_holidays_and_holidays_the_week() -> None:
    """A holiday of each year, and one of a single year."""
    closed = (Holiday(0, 12, 25, "Christmas"), Holiday(2026, 12, 28, "Moving"), Holiday(0, 12, 31, ""))
    special = (DayHours(date(2026, 12, 31), (DayPeriod(600, 660),)), DayHours(date(2026, 12, 30), ()))
    hours = OpeningHours(resource(opening_hours=EVERY_DAY, holidays=closed, exceptions=special, slot_step_minutes=60))
    found = starts(hours, instant("2026-12-25T00:00", "UTC"), instant("2027-01-01T00:00", "UTC"))
    days = [datetime.fromtimestamp(each, ZoneInfo("UTC")).strftime("%d %H") for each in found]
    assert {each[:2] for each in days} == {"26", "27", "29", "31"}
    assert [each for each in days if each.startswith("31")] == ["31 10"]


def test_periods_of_one_day_do_not_overlap() -> None:
    """They may touch."""
    touching = (WeeklyPeriod(1, DayPeriod(540, 720)), WeeklyPeriod(1, DayPeriod(720, 900)))
    check_hours(resource(opening_hours=touching))
    with pytest.raises(FieldInvalid):
        check_hours(resource(opening_hours=(touching[0], replace(touching[1], period=DayPeriod(719, 900)))))


@pytest.mark.parametrize("year", [1985, 2026])
def test_each_day_is_as_its_clocks_show_it_in_every_zone(year: int) -> None:
    """In all weeks in which they are changed, whether a day is worked out in the short way or not."""
    for zone in sorted(available_timezones() - {"localtime", "posixrules", "Factory"}):
        hours = of(zone, 0, 1440, step=60)
        weeks = [datetime(year, 1, 1, tzinfo=ZoneInfo(zone)) + timedelta(weeks=week) for week in range(53)]
        for begin, end in pairwise(weeks):
            if begin.utcoffset() != end.utcoffset():
                for day in (begin.date() + timedelta(days=place) for place in range(8)):
                    expected = opening_of(day, DayPeriod(0, 1440), ZoneInfo(zone), 60)
                    assert expected.begins == expected.ends or hours.opening_at(expected.begins) == expected, (
                        zone,
                        day,
                    )


def test_what_opens_far_ahead_is_found_step_by_step() -> None:
    """No opening is passed over, and no look ahead goes on without end."""
    only = (DayHours(date(2026, 12, 31), (DayPeriod(600, 660),)),)
    hours = OpeningHours(resource(opening_hours=(), exceptions=only))
    moment, looks = instant("2026-01-01T00:00", "UTC"), 0
    while hours.opening_at(moment) is None:
        moment, looks = hours.next_opening(moment), looks + 1
    assert moment == instant("2026-12-31T10:00", "UTC")
    assert looks < 60

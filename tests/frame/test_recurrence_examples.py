"""The examples of RFC 5545, section 3.8.5.3, all in New York at 9 o'clock."""

from datetime import datetime, time, timedelta
from itertools import islice

import pytest

from server.frame.recurrence import RecurrenceInvalid, Series

EVERY_DAY = "SU,MO,TU,WE,TH,FR,SA"


def at_nine(day: str) -> datetime:
    return datetime.fromisoformat(f"{day}T09:00")


def series(rule: str, start: str, *excluded: str) -> Series:
    return Series.of(rule, at_nine(start), "America/New_York", [at_nine(each) for each in excluded])


def days(found: Series, number: int) -> str:
    """The first days of a series, as "1997-09-02", and after a day of the same year as "09-04"."""
    texts, year = [], 0
    for each in islice(found.occurrences(), number):
        assert each.local_start.time() == time(9)
        texts.append(f"{each.local_start:%m-%d}" if each.local_start.year == year else f"{each.local_start:%Y-%m-%d}")
        year = each.local_start.year
    return " ".join(texts)


ENDING = [
    ("FREQ=DAILY;COUNT=10", "1997-09-02 09-03 09-04 09-05 09-06 09-07 09-08 09-09 09-10 09-11"),
    ("FREQ=DAILY;INTERVAL=10;COUNT=5", "1997-09-02 09-12 09-22 10-02 10-12"),
    ("FREQ=WEEKLY;COUNT=10", "1997-09-02 09-09 09-16 09-23 09-30 10-07 10-14 10-21 10-28 11-04"),
    (
        "FREQ=WEEKLY;UNTIL=19971224T000000Z",
        "1997-09-02 09-09 09-16 09-23 09-30 10-07 10-14 10-21 10-28 11-04 11-11 11-18 11-25 12-02 12-09 12-16 12-23",
    ),
    (
        "FREQ=WEEKLY;UNTIL=19971007T000000Z;WKST=SU;BYDAY=TU,TH",
        "1997-09-02 09-04 09-09 09-11 09-16 09-18 09-23 09-25 09-30 10-02",
    ),
    (
        "FREQ=WEEKLY;COUNT=10;WKST=SU;BYDAY=TU,TH",
        "1997-09-02 09-04 09-09 09-11 09-16 09-18 09-23 09-25 09-30 10-02",
    ),
    (
        "FREQ=WEEKLY;INTERVAL=2;UNTIL=19971224T000000Z;WKST=SU;BYDAY=MO,WE,FR",
        (
            "1997-09-01 09-03 09-05 09-15 09-17 09-19 09-29 10-01 10-03 10-13 10-15 10-17 10-27 10-29 10-31"
            " 11-10 11-12 11-14 11-24 11-26 11-28 12-08 12-10 12-12 12-22"
        ),
    ),
    (
        "FREQ=WEEKLY;INTERVAL=2;COUNT=8;WKST=SU;BYDAY=TU,TH",
        "1997-09-02 09-04 09-16 09-18 09-30 10-02 10-14 10-16",
    ),
    (
        "FREQ=MONTHLY;COUNT=10;BYDAY=1FR",
        "1997-09-05 10-03 11-07 12-05 1998-01-02 02-06 03-06 04-03 05-01 06-05",
    ),
    ("FREQ=MONTHLY;UNTIL=19971224T000000Z;BYDAY=1FR", "1997-09-05 10-03 11-07 12-05"),
    (
        "FREQ=MONTHLY;INTERVAL=2;COUNT=10;BYDAY=1SU,-1SU",
        "1997-09-07 09-28 11-02 11-30 1998-01-04 01-25 03-01 03-29 05-03 05-31",
    ),
    ("FREQ=MONTHLY;COUNT=6;BYDAY=-2MO", "1997-09-22 10-20 11-17 12-22 1998-01-19 02-16"),
    (
        "FREQ=MONTHLY;COUNT=10;BYMONTHDAY=2,15",
        "1997-09-02 09-15 10-02 10-15 11-02 11-15 12-02 12-15 1998-01-02 01-15",
    ),
    (
        "FREQ=MONTHLY;COUNT=10;BYMONTHDAY=1,-1",
        "1997-09-30 10-01 10-31 11-01 11-30 12-01 12-31 1998-01-01 01-31 02-01",
    ),
    (
        "FREQ=MONTHLY;INTERVAL=18;COUNT=10;BYMONTHDAY=10,11,12,13,14,15",
        "1997-09-10 09-11 09-12 09-13 09-14 09-15 1999-03-10 03-11 03-12 03-13",
    ),
    (
        "FREQ=YEARLY;COUNT=10;BYMONTH=6,7",
        "1997-06-10 07-10 1998-06-10 07-10 1999-06-10 07-10 2000-06-10 07-10 2001-06-10 07-10",
    ),
    (
        "FREQ=YEARLY;INTERVAL=2;COUNT=10;BYMONTH=1,2,3",
        "1997-03-10 1999-01-10 02-10 03-10 2001-01-10 02-10 03-10 2003-01-10 02-10 03-10",
    ),
    (
        "FREQ=YEARLY;INTERVAL=3;COUNT=10;BYYEARDAY=1,100,200",
        "1997-01-01 04-10 07-19 2000-01-01 04-09 07-18 2003-01-01 04-10 07-19 2006-01-01",
    ),
    ("FREQ=MONTHLY;COUNT=3;BYDAY=TU,WE,TH;BYSETPOS=3", "1997-09-04 10-07 11-06"),
    ("FREQ=WEEKLY;INTERVAL=2;COUNT=4;BYDAY=TU,SU;WKST=MO", "1997-08-05 08-10 08-19 08-24"),
    ("FREQ=WEEKLY;INTERVAL=2;COUNT=4;BYDAY=TU,SU;WKST=SU", "1997-08-05 08-17 08-19 08-31"),
    ("FREQ=MONTHLY;BYMONTHDAY=15,30;COUNT=5", "2007-01-15 01-30 02-15 03-15 03-30"),
]

ENDLESS = [
    ("FREQ=DAILY;INTERVAL=2", "1997-09-02 09-04 09-06 09-08"),
    ("FREQ=WEEKLY;INTERVAL=2;WKST=SU", "1997-09-02 09-16 09-30 10-14 10-28 11-11 11-25 12-09 12-23 1998-01-06 01-20"),
    ("FREQ=MONTHLY;BYMONTHDAY=-3", "1997-09-28 10-29 11-28 12-29 1998-01-29 02-26"),
    (
        "FREQ=MONTHLY;INTERVAL=2;BYDAY=TU",
        "1997-09-02 09-09 09-16 09-23 09-30 11-04 11-11 11-18 11-25 1998-01-06 01-13 01-20 01-27 03-03 03-10 03-17",
    ),
    ("FREQ=YEARLY;BYDAY=20MO", "1997-05-19 1998-05-18 1999-05-17"),
    ("FREQ=YEARLY;BYWEEKNO=20;BYDAY=MO", "1997-05-12 1998-05-11 1999-05-17"),
    (
        "FREQ=YEARLY;BYMONTH=3;BYDAY=TH",
        "1997-03-13 03-20 03-27 1998-03-05 03-12 03-19 03-26 1999-03-04 03-11 03-18 03-25",
    ),
    (
        "FREQ=YEARLY;BYDAY=TH;BYMONTH=6,7,8",
        "1997-06-05 06-12 06-19 06-26 07-03 07-10 07-17 07-24 07-31 08-07 08-14 08-21 08-28 1998-06-04 06-11",
    ),
    (
        "FREQ=MONTHLY;BYDAY=SA;BYMONTHDAY=7,8,9,10,11,12,13",
        "1997-09-13 10-11 11-08 12-13 1998-01-10 02-07 03-07 04-11 05-09 06-13",
    ),
    ("FREQ=YEARLY;INTERVAL=4;BYMONTH=11;BYDAY=TU;BYMONTHDAY=2,3,4,5,6,7,8", "1996-11-05 2000-11-07 2004-11-02"),
    ("FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-2", "1997-09-29 10-30 11-27 12-30 1998-01-29 02-26 03-30"),
]


@pytest.mark.parametrize(("rule", "expected"), ENDING)
def test_an_ending_series_is_as_the_rfc_lists_it(rule: str, expected: str) -> None:
    """Each example that ends has the days that the RFC names, and no more."""
    assert days(series(rule, expected[:10]), 1000) == expected


@pytest.mark.parametrize(("rule", "expected"), ENDLESS)
def test_an_endless_series_begins_as_the_rfc_lists_it(rule: str, expected: str) -> None:
    """Each example without an end begins with the days that the RFC names."""
    assert days(series(rule, expected[:10]), len(expected.split())) == expected


def test_a_daily_series_ends_with_the_last_day_before_until() -> None:
    """Every day until midnight of December 24th, 1997, in UTC is 113 days, and the last of them the 23rd."""
    found = series("FREQ=DAILY;UNTIL=19971224T000000Z", "1997-09-02").all(200)
    assert (len(found), found[-1].local_start) == (113, at_nine("1997-12-23"))


@pytest.mark.parametrize("rule", [f"FREQ=YEARLY;BYDAY={EVERY_DAY};BYMONTH=1", "FREQ=DAILY;BYMONTH=1"])
def test_every_day_of_january_is_said_by_two_rules(rule: str) -> None:
    """Every day in January for three years is the same by year and by day."""
    found = [each.local_start for each in series(f"{rule};UNTIL=20000131T140000Z", "1998-01-01").all(100)]
    first = [at_nine(f"{year}-01-01") for year in (1998, 1999, 2000)]
    assert found == [day + timedelta(days=n) for day in first for n in range(31)]


def test_friday_the_13th_leaves_out_its_excluded_start() -> None:
    """A start that the rule does not name is no occurrence, and may be excluded as the RFC does."""
    found = series("FREQ=MONTHLY;BYDAY=FR;BYMONTHDAY=13", "1997-09-02", "1997-09-02")
    assert days(found, 5) == "1998-02-13 03-13 11-13 1999-08-13 2000-10-13"


def test_every_20_minutes_is_said_by_hours_and_minutes() -> None:
    """From 9:00 to 16:40 every day, the same 24 times."""
    found = series("FREQ=DAILY;BYHOUR=9,10,11,12,13,14,15,16;BYMINUTE=0,20,40", "1997-09-02").occurrences()
    times = [at_nine("1997-09-02") + timedelta(minutes=20 * n) for n in range(24)]
    expected = times + [each + timedelta(days=1) for each in times]
    assert [each.local_start for each in islice(found, 48)] == expected


@pytest.mark.parametrize(
    "rule", ["FREQ=HOURLY;INTERVAL=3;UNTIL=19970902T170000Z", "FREQ=MINUTELY;INTERVAL=15;COUNT=6", "FREQ=SECONDLY"]
)
def test_rules_by_the_hour_and_less_are_refused(rule: str) -> None:
    """What repeats by the hour or less is refused, with what to write instead."""
    with pytest.raises(RecurrenceInvalid, match="is not offered: name the times of a day, by FREQ=DAILY with BYHOUR"):
        series(rule, "1997-09-02")

"""Whatever the rule, little is done for it: the steps are counted, and not the time."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import islice
from unittest.mock import patch
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from server.frame import local_time
from server.frame.recurrence import RecurrenceInvalid, Rule, Series, local_times, read_rule
from tests.fixtures.examples import examples

START = datetime(2026, 1, 1, 9)
MAX_YEARS = 2 * (local_times.HORIZON_YEARS + 2)
"""For making a series, which looks for what the rule names, and for what is not excluded of it; and so for a search."""
MAX_DAYS = 366 * MAX_YEARS
WEEKDAYS = ",".join(("MO", "TU", "WE", "TH", "FR", "SA", "SU"))
ALL_HOURS = ",".join(map(str, range(24)))
QUARTERS = f"BYHOUR={ALL_HOURS};BYMINUTE=0,15,30,45"


@dataclass
class Steps:
    """What was done."""

    years: int = 0
    days: int = 0
    instants: int = 0


@contextmanager
def counted() -> Iterator[Steps]:
    steps = Steps()
    days_of_year, instant_of = local_times._days_of_year, local_time.instant_of

    def days(rule: Rule, year: int) -> Iterator[date]:
        steps.years += 1
        for each in days_of_year(rule, year):
            steps.days += 1
            yield each

    def instant(local: datetime, zone: ZoneInfo) -> datetime | None:
        steps.instants += 1
        return instant_of(local, zone)

    with patch.object(local_times, "_days_of_year", days), patch("server.frame.recurrence.series.instant_of", instant):
        yield steps


IMPOSSIBLE = [
    "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30",
    "FREQ=MONTHLY;BYMONTH=4,6,9,11;BYMONTHDAY=31",
    "FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30,31",
    "FREQ=DAILY;INTERVAL=1000;BYMONTH=2;BYMONTHDAY=30",
    "FREQ=YEARLY;BYYEARDAY=366;BYMONTH=1",
    "FREQ=YEARLY;BYWEEKNO=53;BYMONTH=6",
    "FREQ=MONTHLY;BYDAY=5MO;BYMONTHDAY=1",
    "FREQ=WEEKLY;BYDAY=MO;BYSETPOS=2",
    "FREQ=WEEKLY;BYDAY=MO;BYSETPOS=-7",
    f"FREQ=YEARLY;BYDAY={WEEKDAYS};BYSETPOS=366;BYMONTH=1,2,3,4,5,6,7,8,9,10,11",
    "FREQ=DAILY;INTERVAL=7;BYDAY=MO,TU,WE,FR",
    "FREQ=YEARLY;INTERVAL=2;BYMONTH=2;BYMONTHDAY=29;BYWEEKNO=1",
    f"FREQ=YEARLY;{QUARTERS};BYMONTH=2;BYMONTHDAY=30",
    "FREQ=DAILY;UNTIL=20251231",
    "FREQ=DAILY;UNTIL=00010101T000000Z",
]

TOO_MUCH = [
    "FREQ=SECONDLY",
    "FREQ=DAILY;INTERVAL=1000000000",
    "FREQ=DAILY;COUNT=1000000000",
    f"FREQ=DAILY;COUNT={'9' * 900}",
    f"FREQ=DAILY;BYHOUR={ALL_HOURS};BYMINUTE=0,10,20,30,40",
    f"FREQ=DAILY;BYSECOND={','.join(map(str, range(60)))};BYMINUTE={','.join(map(str, range(60)))}",
    "FREQ=DAILY;BYDAY=" + ",".join(["MO"] * 1_000_000),
    "RRULE:" * 1_000_000,
    ";" * 1_000_000,
    "FREQ=DAILY;" + "X" * 1_000_000,
]


@pytest.mark.parametrize("rule", IMPOSSIBLE)
def test_an_impossible_rule_is_refused_after_at_most_a_hundred_years(rule: str) -> None:
    """Where a rule names nothing, each year up to the horizon is looked at once."""
    with counted() as steps, pytest.raises(RecurrenceInvalid, match="rule: has no occurrence from the start until"):
        Series.of(rule, START, "Europe/Berlin")
    assert steps.years <= local_times.HORIZON_YEARS + 2
    assert steps.instants <= local_times.HORIZON_YEARS


@pytest.mark.parametrize("rule", TOO_MUCH, ids=lambda rule: rule[:40])
def test_a_rule_that_asks_for_too_much_is_refused_before_any_work(rule: str) -> None:
    """A long text, a large number or too many times a day are refused as they are read, in a short message."""
    with counted() as steps, pytest.raises(RecurrenceInvalid) as refused:
        Series.of(rule, START, "Europe/Berlin")
    assert steps == Steps()
    assert len(str(refused.value)) < 300


@pytest.mark.parametrize("begin", [datetime.min, datetime(2026, 1, 1), datetime(2125, 12, 1), datetime.max])
@pytest.mark.parametrize("rule", ["FREQ=DAILY", f"FREQ=DAILY;{QUARTERS}", "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=29"])
def test_a_window_costs_no_more_where_it_is_late(rule: str, begin: datetime) -> None:
    """Without a COUNT, the years between the start and the window are not looked at."""
    found = Series.of(rule, datetime(2024, 2, 29, 9), "Europe/Berlin")
    with counted() as steps:
        list(islice(found.occurrences(begin.replace(tzinfo=UTC)), 3))
    assert steps.years <= 12
    assert steps.instants <= 3 + 4 * 96


def test_a_window_after_the_end_of_a_series_costs_little() -> None:
    """What UNTIL has ended is not looked for."""
    found = Series.of("FREQ=YEARLY;UNTIL=20300101;BYMONTH=2;BYMONTHDAY=29", START, "Europe/Berlin")
    with counted() as steps:
        assert found.next_after(datetime(2030, 6, 1, tzinfo=UTC)) is None
    assert steps.years <= 3


def test_a_count_costs_its_occurrences() -> None:
    """A window of a series with a COUNT counts from the start, up to 10,000."""
    found = Series.of(f"FREQ=DAILY;COUNT=10000;{QUARTERS}", START, "Europe/Berlin")
    with counted() as steps:
        assert found.next_after(datetime(2125, 1, 1, tzinfo=UTC)) is None
    assert 10_000 <= steps.instants <= 10_000 + 100


def test_a_series_ends_with_its_horizon() -> None:
    """No series goes on for more than a hundred years, whoever takes from it."""
    with counted() as steps:
        found = list(Series.of("FREQ=DAILY", START, "Europe/Berlin").occurrences())
    assert found[-1].local_start == datetime(2126, 12, 31, 9)
    assert steps.years <= MAX_YEARS


def test_more_than_a_thousand_exclusions_are_refused() -> None:
    """Of an iterator without an end, no more than that are taken."""
    days = (START + timedelta(days=n) for n in range(10**6))
    with counted() as steps, pytest.raises(RecurrenceInvalid, match="excluded: has more than 1,000 times"):
        Series.of("FREQ=DAILY", START, "Europe/Berlin", days)
    assert steps == Steps()


NUMBERS = st.one_of(st.integers(-400, 400), st.sampled_from([0, 29, 30, 31, 53, 366, 10**9])).map(str)
VALUES = st.lists(
    st.one_of(NUMBERS, st.sampled_from(WEEKDAYS.split(",")), st.from_regex(r"[+-]?\d\d?(MO|SU)")), max_size=9
)
NAMES = [
    "INTERVAL",
    "COUNT",
    "BYMONTH",
    "BYWEEKNO",
    "BYYEARDAY",
    "BYMONTHDAY",
    "BYDAY",
    "BYHOUR",
    "BYMINUTE",
    "BYSETPOS",
]
PARTS = st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=4)


@examples(100)
@given(
    st.one_of(
        st.text(max_size=40),
        PARTS.map(lambda parts: "".join(f";{name}={','.join(each)}" for name, each in parts.items())),
    )
)
@example("")
def test_any_text_is_refused_or_makes_a_bounded_series(text: str) -> None:
    """No text raises another error, and none has more done for it than the years up to the horizon."""
    for frequency in ("YEARLY", "MONTHLY", "WEEKLY", "DAILY"):
        with counted() as steps:
            try:
                rule = f"FREQ={frequency}{text}"
                found = Series.of(rule, START, "Europe/Berlin")
                assert found.rule == read_rule(str(found.rule))
                found.next_after(datetime(2100, 1, 1, tzinfo=UTC))
            except RecurrenceInvalid:
                pass
        assert steps.years <= 2 * MAX_YEARS
        assert steps.days <= 2 * MAX_DAYS
        assert steps.instants <= 11_000

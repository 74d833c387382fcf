"""Recurrences against a slow and plain reference: random rules, in every zone, around the changes of its clocks."""

from collections.abc import Iterable
from datetime import UTC, datetime, time, timedelta
from zoneinfo import available_timezones

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from server.frame.recurrence import Occurrence, RecurrenceInvalid, Series
from tests.fixtures.examples import examples
from tests.frame import recurrence_reference as reference
from tests.frame.recurrence_reference import DAY, WEEKDAYS

ZONES = sorted(available_timezones() - {"localtime", "posixrules", "Factory"})
CHANGING = ["Africa/Cairo", "America/Havana", "America/New_York", "America/Santiago", "Antarctica/Troll"]
CHANGING += ["Asia/Beirut", "Asia/Kathmandu", "Asia/Tehran", "Atlantic/Azores", "Australia/Lord_Howe"]
CHANGING += ["Europe/Berlin", "Europe/Dublin", "Pacific/Apia", "Pacific/Chatham", "Africa/Casablanca", "UTC"]
FREQUENCIES = ["YEARLY", "MONTHLY", "WEEKLY", "DAILY"]
MANY = examples(60)


def listed(least: int, most: int, *, size: int = 3) -> st.SearchStrategy[str]:
    """A list of numbers of a part; where it begins below 0, its numbers count from the end, and 0 is none of them."""
    numbers = st.integers(least, most).filter(lambda n: n or least == 0)
    return st.lists(numbers, min_size=1, max_size=size, unique=True).map(lambda found: ",".join(map(str, found)))


def weekdays(ordinals: int) -> st.SearchStrategy[str]:
    days = st.sampled_from(WEEKDAYS)
    if ordinals:
        counted = st.integers(-ordinals, ordinals).map(lambda n: str(n or ""))
        days = st.tuples(st.one_of(st.just(""), counted), days).map("".join)
    return st.lists(days, min_size=1, max_size=4, unique=True).map(",".join)


@st.composite
def rules(draw: st.DrawFn, start: datetime) -> str:
    """Rules that RFC 5545 allows, of all frequencies and parts, that often name the start or a day near it."""
    frequency = draw(st.sampled_from(FREQUENCIES))
    parts = {"FREQ": frequency, "INTERVAL": str(draw(st.integers(1, 4)))}
    by_week = frequency == "YEARLY" and draw(st.booleans()) and draw(st.booleans())
    most = {"YEARLY": 53, "MONTHLY": 5}.get(frequency, 0)
    months = draw(st.booleans()) and draw(st.booleans())
    optional = {
        "WKST": st.sampled_from(WEEKDAYS),
        "BYDAY": weekdays(0 if by_week else min(most, 5) if months else most),
    }
    if frequency != "WEEKLY":
        optional["BYMONTHDAY"] = st.one_of(listed(-31, 31), st.just(f"{start.day}"))
    if frequency == "YEARLY":
        optional["BYYEARDAY"] = listed(-366, 366, size=6)
    chosen = draw(st.sets(st.sampled_from(sorted(optional)), max_size=3))
    parts |= {name: draw(optional[name]) for name in sorted(chosen)}
    if months:
        parts["BYMONTH"] = draw(st.one_of(listed(1, 12, size=5), st.just(f"{start.month}")))
    if by_week:
        parts["BYWEEKNO"] = draw(listed(-53, 53))
    for name, most in (("BYHOUR", 23), ("BYMINUTE", 59)):
        if draw(st.integers(0, 3)) == 0:
            parts[name] = draw(listed(0, most))
    if any(name.startswith("BY") for name in parts) and draw(st.booleans()):
        parts["BYSETPOS"] = draw(listed(-3, 3))
    parts |= draw(ends(start))
    return ";".join(f"{name}={value}" for name, value in parts.items())


def ends(start: datetime) -> st.SearchStrategy[dict[str, str]]:
    later = st.timedeltas(timedelta(0), timedelta(days=900)).map(lambda after: start + after)
    forms = st.sampled_from(["%Y%m%d", "%Y%m%dT%H%M%S", "%Y%m%dT%H%M%SZ"])
    return st.one_of(
        st.just({}),
        st.integers(1, 30).map(lambda count: {"COUNT": str(count)}),
        st.builds(lambda local, form: {"UNTIL": local.strftime(form)}, later, forms),
    )


@st.composite
def starts(draw: st.DrawFn) -> tuple[datetime, str]:
    """A local time and a zone; the time is near a change of the zone's clocks, where they are changed."""
    zone = draw(st.one_of(st.sampled_from(CHANGING), st.sampled_from(ZONES)))
    near = draw(st.sampled_from(reference.changes(zone) or [datetime(2027, 12, 28)]))
    local = (near + reference.offset_at(near, zone) if near.tzinfo else near).replace(tzinfo=None)
    return local + timedelta(days=draw(st.integers(-9, 2)), minutes=15 * draw(st.integers(-6, 6))), zone


def plain(found: Iterable[Occurrence]) -> list[tuple[datetime, datetime]]:
    return [(each.local_start, each.start) for each in found]


def made(text: str, start: datetime, zone: str, excluded: frozenset[datetime]) -> Series | None:
    """The series; None where it is refused for having no occurrence."""
    try:
        return Series.of(text, start, zone, excluded)
    except RecurrenceInvalid as invalid:
        if "no occurrence" in invalid.description or "BYSETPOS" in invalid.description:
            return None
        raise


def assert_as_by_reference(text: str, start: datetime, zone: str, data: st.DataObject) -> None:
    last = start.date() + timedelta(days=800)
    named = reference.occurrences(text, start, zone, frozenset(), last)
    locals_named = [local for local, _ in named] or [start]
    excluded = frozenset(data.draw(st.sets(st.sampled_from(locals_named), max_size=3)))
    expected = [each for each in named if each[0] not in excluded]
    series = made(text, start, zone, excluded)
    event("without occurrences" if series is None else f"{min(len(expected), 3)} occurrences or more")
    if series is None:
        assert not expected
        return
    end = datetime.combine(last + DAY, time(), UTC)
    found = plain(each for each in series.occurrences(end=end + DAY) if each.local_start.date() <= last)
    assert found == expected
    assert [instant for _, instant in found] == sorted({instant for _, instant in found})
    begin, end = end - timedelta(minutes=data.draw(st.integers(0, 1_200_000))), end - 3 * DAY
    assert plain(series.occurrences(begin, end)) == [each for each in expected if begin <= each[1] < end]
    after = next((each for each in expected if each[1] > begin), None)
    assert after is None or series.next_after(begin) == Occurrence(*after)


@MANY
@given(st.data())
def test_a_series_is_what_the_plain_reference_finds(data: st.DataObject) -> None:
    """Whatever the rule, the start and the zone, the same local times occur at the same instants."""
    start, zone = data.draw(starts())
    assert_as_by_reference(data.draw(rules(start)), start, zone, data)


@pytest.mark.proof
@settings(MANY, max_examples=2_000)
@given(st.data())
def test_many_series_are_what_the_plain_reference_finds(data: st.DataObject) -> None:
    """The same of many more."""
    start, zone = data.draw(starts())
    assert_as_by_reference(data.draw(rules(start)), start, zone, data)


def assert_as_shown_around(change: datetime, zone: str) -> None:
    """From three hours before a change of the clocks until three after it, the clock shows what occurs, and when."""
    begin, end = change - timedelta(hours=3), change + timedelta(hours=3)
    shown = reference.shown_minutes(begin, end, zone)
    minutes = (0, 1, 14, 15, 29, 30, 31, 45, 59)
    hours = sorted({local.hour for local in shown})
    rule = f"FREQ=DAILY;BYHOUR={','.join(map(str, hours))};BYMINUTE={','.join(map(str, minutes))}"
    start = datetime.combine(min(shown).date() - DAY, time())
    found = plain(Series.of(rule, start, zone).occurrences(begin, end))
    assert found == sorted((local, instant) for local, instant in shown.items() if local.minute in minutes), (
        zone,
        change,
    )


@pytest.mark.parametrize("zone", [zone for zone in CHANGING if zone not in {"Asia/Kathmandu", "UTC"}])
def test_around_a_change_of_the_clocks_occurs_what_a_clock_shows(zone: str) -> None:
    """What a clock shows, read at every minute, occurs once, when it is shown first; and nothing else does."""
    changes = reference.changes(zone)
    assert changes
    for change in changes[:4]:
        assert_as_shown_around(change, zone)


@pytest.mark.slow
@pytest.mark.long
def test_around_every_change_in_every_zone_occurs_what_a_clock_shows() -> None:
    """The same for each zone of tzdata and each change of its clocks from 2020 to 2035."""
    swept = [(change, zone) for zone in ZONES for change in reference.changes(zone)]
    assert len(ZONES) > 400
    assert len(swept) > 4_000
    for change, zone in swept:
        assert_as_shown_around(change, zone)

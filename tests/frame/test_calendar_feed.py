"""Calendars as iCalendar text: what other readers find in it."""

import subprocess
import sys
from datetime import UTC, datetime, timedelta
from io import StringIO
from typing import Any

import pytest
from dateutil.rrule import rrulestr
from dateutil.tz import tzical
from icalendar import Calendar

from server.frame.calendar_feed import CalendarEvent, EventState, calendar_text
from server.frame.local_time import clock_changes, instant_of, local_of, time_zone
from server.frame.recurrence import Series, read_rule

UPDATED = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
HOUR = timedelta(hours=1)
ZONES = [
    "Africa/Cairo",
    "Africa/Casablanca",
    "America/New_York",
    "America/Santiago",
    "Antarctica/Troll",
    "Asia/Kathmandu",
]
ZONES += ["Australia/Lord_Howe", "Europe/Berlin", "Europe/Dublin", "Pacific/Apia", "Pacific/Chatham", "Etc/GMT+5"]


def event(local_start: str = "2026-03-02T09:00", zone: str = "Europe/Berlin", **fields: Any) -> CalendarEvent:
    values: dict[str, Any] = {"uid": "1@test", "duration": HOUR, "update_time": UPDATED, "summary": "Room 1"} | fields
    return CalendarEvent(local_start=datetime.fromisoformat(local_start), time_zone=zone, **values)


def text_of(*events: CalendarEvent) -> str:
    return calendar_text("Rooms", events, product="-//Test//EN").decode()


def read(*events: CalendarEvent) -> Any:
    """The first event, as icalendar reads it."""
    return Calendar.from_ical(text_of(*events)).walk("VEVENT")[0]


def test_an_event_is_read_as_it_was_written() -> None:
    """Its local start with the zone, what it lasts, and its texts and state."""
    found = read(
        event(summary="Café, 2nd floor; \\ 1", description="a\nb", location="Oslo", state=EventState.TENTATIVE)
    )
    assert (found["uid"], found["summary"], found["description"]) == ("1@test", "Café, 2nd floor; \\ 1", "a\nb")
    assert (found["location"], found["status"]) == ("Oslo", "TENTATIVE")
    assert found.decoded("dtstart") == datetime(2026, 3, 2, 9, tzinfo=time_zone("Europe/Berlin"))
    assert found["dtstart"].params["TZID"] == "Europe/Berlin"
    assert (found.decoded("duration"), found.decoded("dtstamp")) == (HOUR, UPDATED)


def test_a_calendar_has_what_programs_ask_for() -> None:
    """Its version, who wrote it, its name, and how often to look again."""
    lines = text_of().split("\r\n")
    assert lines[0] == "BEGIN:VCALENDAR"
    assert {"VERSION:2.0", "PRODID:-//Test//EN", "METHOD:PUBLISH", "NAME:Rooms", "X-WR-CALNAME:Rooms"} <= set(lines)
    assert {"REFRESH-INTERVAL;VALUE=DURATION:PT15M", "END:VCALENDAR"} <= set(lines)


def test_an_event_in_utc_needs_no_rules_of_a_zone() -> None:
    """It is written with a Z."""
    text = text_of(
        event(zone="UTC", excluded=frozenset({datetime(2026, 3, 3, 9)}), rule=read_rule("FREQ=DAILY;COUNT=3"))
    )
    assert "DTSTART:20260302T090000Z\r\n" in text
    assert "EXDATE:20260303T090000Z\r\n" in text
    assert "VTIMEZONE" not in text


def test_a_line_is_at_most_75_bytes_and_no_character_is_broken() -> None:
    """Long texts go on in lines that begin with a space."""
    summary = "日本語 Zürich 🏠, " * 40
    found = event(summary=summary)
    data = calendar_text("Rooms", [found], product="-//Test//EN")
    assert max(map(len, data.split(b"\r\n"))) <= 75
    assert all(line.decode() for line in data.split(b"\r\n") if line)
    assert read(found)["summary"] == summary


@pytest.mark.parametrize(
    "text", ["x\r\nATTENDEE:mailto:a@b.c", "x\rEND:VEVENT", "x\nEND:VEVENT\n", "x\0\x07\x1b\x0b\x0cy", "x\x85\u2028y"]
)
def test_a_text_adds_no_line_of_its_own(text: str) -> None:
    """Whoever names a room writes nothing else into the calendar."""
    plain = [line.split(":")[0] for line in text_of(event(description="x", location="x")).split("\r\n")]
    hostile = event(summary=text, description=text, location=text, uid=text)
    assert [line.split(":")[0] for line in text_of(hostile).split("\r\n")] == plain
    assert not {chr(n) for n in range(32)} & set(text_of(hostile)) - {"\r", "\n"}


def test_the_same_events_give_the_same_bytes() -> None:
    """A program that has the calendar need not be sent it again."""
    events = [event(), event(uid="2@test", zone="Asia/Kathmandu", excluded=frozenset({UPDATED.replace(tzinfo=None)}))]
    assert text_of(*events) == text_of(*events)


@pytest.mark.parametrize(
    ("until", "expected"),
    [
        ("20260331", "20260331T215959Z"),
        ("20260331T090000", "20260331T070000Z"),
        ("20260331T070000Z", "20260331T070000Z"),
    ],
)
def test_until_is_written_in_utc(until: str, expected: str) -> None:
    """RFC 5545 has it so where the start has a zone."""
    assert f"RRULE:FREQ=WEEKLY;UNTIL={expected}" in text_of(event(rule=read_rule(f"FREQ=WEEKLY;UNTIL={until}")))


@pytest.mark.parametrize(
    "rule",
    [
        "FREQ=WEEKLY;BYDAY=MO,TH;COUNT=50",
        "FREQ=MONTHLY;BYDAY=1MO,-1FR;UNTIL=20271231T000000Z",
        "FREQ=DAILY;INTERVAL=3;BYHOUR=9,17;COUNT=40",
        "FREQ=YEARLY;BYMONTH=3,9;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=1,-1;UNTIL=20290101",
    ],
)
def test_a_series_is_read_by_another_reader_as_it_is_here(rule: str) -> None:
    """dateutil finds the same local times in the text, without the excluded one."""
    series = Series.of(rule, datetime(2026, 3, 2, 9), "Europe/Berlin")
    named = [each.local_start for each in series.all(100)]
    found = read(event(rule=series.rule, excluded=frozenset({named[1]})))
    written = found["rrule"].to_ical().decode()
    read_again = rrulestr(written, dtstart=datetime(2026, 3, 2, 9, tzinfo=time_zone("Europe/Berlin")))
    assert [each.replace(tzinfo=None) for each in read_again] == named
    assert [each.dt.replace(tzinfo=None) for each in found["exdate"].dts] == [named[1]]


@pytest.mark.parametrize("zone", ZONES)
def test_the_rules_of_a_zone_are_read_by_another_reader_as_they_are(zone: str) -> None:
    """dateutil, which knows but the text, has the offset of the zone around each change of the clocks."""
    text = text_of(event("2026-03-02T09:00", zone, rule=read_rule("FREQ=DAILY")))
    told = tzical(StringIO(text)).get(zone)
    assert told is not None
    known = time_zone(zone)
    begin, end = datetime(2025, 6, 1, tzinfo=UTC), datetime(2046, 12, 31, tzinfo=UTC)
    around = [change.instant + HOUR * n for change in clock_changes(known, begin, end) for n in (-26, -4, 4, 26)]
    around += [begin + timedelta(days=31 * n) for n in range(250)]
    for instant in around:
        local = local_of(instant, known)
        if instant_of(local, known) == instant:
            assert told.utcoffset(local) == local - instant.replace(tzinfo=None), local


@pytest.mark.parametrize("zone", ZONES)
def test_each_change_of_the_clocks_is_told_at_its_instant(zone: str) -> None:
    """By RFC 5545, a change is told in the local time by the offset before it."""
    known = time_zone(zone)
    found: Any = Calendar.from_ical(text_of(event("2026-03-02T09:00", zone))).walk("VTIMEZONE")[0]
    told = set()
    for part in found.subcomponents:
        before, after = part["tzoffsetfrom"].td, part["tzoffsetto"].td
        rest = [each.dt for each in part["rdate"].dts] if "rdate" in part else []
        told |= {((local - before).replace(tzinfo=UTC), before, after) for local in [part["dtstart"].dt, *rest]}
    begin, end = datetime(2025, 1, 1, tzinfo=UTC), datetime(2028, 1, 1, tzinfo=UTC)
    changes = {(each.instant, each.before, each.after) for each in clock_changes(known, begin, end)}
    at_first = local_of(begin, known) - begin.replace(tzinfo=None)
    assert told == changes | {(begin, at_first, at_first)}


def test_who_writes_no_calendar_does_not_wait_for_icalendar() -> None:
    """It is imported by the first calendar that is written, as dateutil is by the first rule."""
    code = "import sys; import server.frame.calendar_feed; print({'icalendar', 'dateutil'} & set(sys.modules))"
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    assert printed.stdout.strip() == "set()"

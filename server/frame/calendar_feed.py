"""Calendars as iCalendar text (RFC 5545), for calendar programs to subscribe to."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, time, timedelta
from enum import StrEnum
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from server.frame.local_time import clock_changes, local_of, time_zone
from server.frame.recurrence import Rule

if TYPE_CHECKING:
    from icalendar import Component, Event, Timezone

CONTENT_TYPE = "text/calendar; charset=utf-8"
_YEARS_OF_RULES = 20
"""For how long the clocks of a series without UNTIL are told; programs know the zones of the IANA database by name."""
_MAX_YEARS = 50
_REFRESH = timedelta(minutes=15)
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
"""What iCalendar allows in no text, once line ends are line feeds."""
_ZONES_REMEMBERED = 256


class EventState(StrEnum):
    """How certain an event is."""

    CONFIRMED = "CONFIRMED"
    TENTATIVE = "TENTATIVE"
    CANCELLED = "CANCELLED"


@dataclass(frozen=True, slots=True, kw_only=True)
class CalendarEvent:
    """What a calendar shows. Its texts may be of any characters: those that iCalendar does not allow become spaces."""

    uid: str
    """The same in each version of the event, and unique in the world, such as "<id>@bookings.example.com"."""
    local_start: datetime
    """Without tzinfo; of a series, it is the first occurrence."""
    time_zone: str
    """A name of the IANA database."""
    duration: timedelta
    """The time that passes, also over a change of the clocks; more than none."""
    update_time: datetime
    """When the event was last changed, in UTC."""
    summary: str
    description: str = ""
    location: str = ""
    state: EventState = EventState.CONFIRMED
    rule: Rule | None = None
    excluded: frozenset[datetime] = frozenset()
    """Local times."""


def calendar_text(name: str, events: Sequence[CalendarEvent], *, product: str) -> bytes:
    """The calendar of these events, with the rules of their time zones; the same events give the same bytes.

    `product` names who writes it, such as "-//Example//Bookings//EN". Raises TimeZoneUnknown for an unknown zone.
    A local time that the clocks skip is no occurrence here, but a calendar program may show one.
    """
    from icalendar import Calendar

    calendar = Calendar()
    calendar.add("prodid", _printable(product))
    calendar.add("version", "2.0")
    calendar.add("method", "PUBLISH")
    for property_name in ("name", "x-wr-calname"):
        calendar.add(property_name, _printable(name))
    for property_name in ("refresh-interval", "x-published-ttl"):
        calendar.add(property_name, _REFRESH, parameters={"VALUE": "DURATION"})
    for zone, begin, end in _zones(events):
        calendar.add_component(_timezone(zone, begin, end))
    for event in events:
        calendar.add_component(_event(event))
    written: bytes = calendar.to_ical()
    return written


def _event(event: CalendarEvent) -> "Event":
    from icalendar import Event, vRecur

    written = Event()
    written.add("uid", _printable(event.uid))
    written.add("dtstamp", event.update_time)
    written.add("last-modified", event.update_time)
    _add_times(written, "dtstart", [event.local_start], event.time_zone)
    written.add("duration", event.duration)
    written.add("status", event.state.value)
    for property_name in ("summary", "description", "location"):
        if text := getattr(event, property_name):
            written.add(property_name, _printable(text))
    if event.rule:
        written.add("rrule", vRecur.from_ical(str(_with_until_in_utc(event.rule, time_zone(event.time_zone)))))
    if event.excluded:
        _add_times(written, "exdate", sorted(event.excluded), event.time_zone)
    return written


def _add_times(written: "Component", property_name: str, times: Sequence[datetime], zone: str) -> None:
    parameters = {"TZID": zone}
    if zone == "UTC":
        times, parameters = [each.replace(tzinfo=UTC) for each in times], {}
    value: Any = times[0] if property_name == "dtstart" else list(times)
    written.add(property_name, value, parameters=parameters)


def _with_until_in_utc(rule: Rule, zone: ZoneInfo) -> Rule:
    """The rule with UNTIL as RFC 5545 has it beside a start in a time zone."""
    until = rule.until
    if until is None or (isinstance(until, datetime) and until.tzinfo):
        return rule
    local = until if isinstance(until, datetime) else datetime.combine(until, time(23, 59, 59))
    return replace(rule, until=local.replace(tzinfo=zone).astimezone(UTC))


def _zones(events: Iterable[CalendarEvent]) -> list[tuple[str, datetime, datetime]]:
    """Each zone but UTC, from when and until when its clocks are told, in whole years, of which there are few."""
    years: dict[str, tuple[int, int]] = {}
    for event in events:
        if event.time_zone == "UTC":
            continue
        first, last = years.get(event.time_zone, (event.local_start.year, 0))
        years[event.time_zone] = (min(first, event.local_start.year), max(last, _last_year(event)))
    return [
        (zone, datetime(first - 1, 1, 1, tzinfo=UTC), datetime(min(last, first + _MAX_YEARS) + 2, 1, 1, tzinfo=UTC))
        for zone, (first, last) in sorted(years.items())
    ]


def _last_year(event: CalendarEvent) -> int:
    if event.rule is None:
        return (event.local_start + event.duration).year
    farthest = event.local_start.year + _YEARS_OF_RULES
    return min(event.rule.until.year, farthest) if event.rule.until else farthest


@lru_cache(_ZONES_REMEMBERED)
def _timezone(name: str, begin: datetime, end: datetime) -> "Timezone":
    """A VTIMEZONE. icalendar's own has clocks put forward an hour late, as it counts in local time."""
    from icalendar import Timezone, TimezoneDaylight, TimezoneStandard

    zone = time_zone(name)
    at_first = local_of(begin, zone) - begin.replace(tzinfo=None)
    kinds: dict[tuple[bool, str, timedelta, timedelta], list[datetime]] = {}
    kinds[(*_named(begin, zone), at_first, at_first)] = [local_of(begin, zone)]
    for change in clock_changes(zone, begin, end):
        kind = (*_named(change.instant, zone), change.before, change.after)
        # A change is at the time that the clocks would have shown without it.
        kinds.setdefault(kind, []).append(change.instant.replace(tzinfo=None) + change.before)
    written = Timezone()
    written.add("tzid", name)
    for (daylight, called, before, after), times in kinds.items():
        part = TimezoneDaylight() if daylight else TimezoneStandard()
        part.add("dtstart", times[0])
        if times[1:]:
            part.add("rdate", times[1:])
        part.add("tzname", called)
        part.add("tzoffsetfrom", before)
        part.add("tzoffsetto", after)
        written.add_component(part)
    return written


def _named(instant: datetime, zone: ZoneInfo) -> tuple[bool, str]:
    shown = instant.astimezone(zone)
    return bool(shown.dst()), shown.tzname() or ""


def _printable(text: str) -> str:
    return _CONTROL.sub(" ", text.replace("\r\n", "\n").replace("\r", "\n"))

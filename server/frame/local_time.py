"""Local times, which a clock on the wall shows in a time zone, and the instants that they mean.

A local time is a datetime without a tzinfo; an instant is a datetime in UTC.
Where people plan by local time, it is kept together with its zone, since a zone's rules may change before it comes.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo, available_timezones

_NO_PLACES = frozenset({"localtime", "posixrules", "Factory"})
"""What tzdata's folder also has: the zone of this machine, and zones that stand for none."""
_SECOND = timedelta(seconds=1)
_OFFSET = re.compile(r"(UTC|GMT)?[+-][0-9:]+", re.IGNORECASE | re.ASCII)


class TimeZoneUnknown(ValueError):
    """A name is not that of a time zone; the text says what is wrong, and what to write instead."""


def time_zone(name: str) -> ZoneInfo:
    """The zone of this name in the IANA database, such as "Europe/Berlin"; "UTC" is one too.

    Raises TimeZoneUnknown for any other name: also for an offset such as "+02:00", which says nothing of when clocks
    change, and for a name in other letters than the database has it in.
    """
    names = _names()
    if names.get(name.casefold()) != name:
        raise TimeZoneUnknown(_unknown(name, names))
    return ZoneInfo(name)


def instant_of(local: datetime, zone: ZoneInfo) -> datetime | None:
    """When a clock in this zone first shows this local time; None where it never does, as the clocks skip it.

    Of a time that the clocks show twice, as they are turned back, it is the first one.
    """
    instant = local.replace(tzinfo=zone, fold=0).astimezone(UTC)
    shown = instant.astimezone(zone).replace(tzinfo=None, fold=0)
    return instant if shown == local else None


def local_of(instant: datetime, zone: ZoneInfo) -> datetime:
    """What a clock in this zone shows at this instant."""
    return instant.astimezone(zone).replace(tzinfo=None, fold=0)


@dataclass(frozen=True, slots=True)
class ClockChange:
    """A change of a zone's clocks."""

    instant: datetime
    """In UTC."""
    before: timedelta
    """How far the clocks were ahead of UTC; after the change it is `after`."""
    after: timedelta


def clock_changes(zone: ZoneInfo, begin: datetime, end: datetime) -> Iterator[ClockChange]:
    """The changes after one instant and up to another one, in order, to the second.

    They are looked for once a day: of two within a day that cancel each other out, none is found.
    """
    step = timedelta(days=1)
    while begin < end:
        following = min(begin + step, end)
        before, after = _offset(begin, zone), _offset(following, zone)
        if before != after:
            yield ClockChange(_when_changed(begin, following, zone), before, after)
        begin = following


def _when_changed(begin: datetime, end: datetime, zone: ZoneInfo) -> datetime:
    before = _offset(begin, zone)
    while end - begin > _SECOND:
        middle = begin + (end - begin) // _SECOND // 2 * _SECOND
        if _offset(middle, zone) == before:
            begin = middle
        else:
            end = middle
    return end


def _offset(instant: datetime, zone: ZoneInfo) -> timedelta:
    return local_of(instant, zone) - instant.replace(tzinfo=None)


@cache
def _names() -> dict[str, str]:
    """Each zone's name, by the same in small letters."""
    return {name.casefold(): name for name in available_timezones() - _NO_PLACES}


def _unknown(name: str, names: dict[str, str]) -> str:
    if right := names.get(name.casefold()):
        return f"is written {right}"
    if _OFFSET.fullmatch(name):
        return "is an offset, and not a time zone: name a place of the IANA database, such as Europe/Berlin"
    return "is not a time zone of the IANA database: name a place, such as Europe/Berlin, or UTC"

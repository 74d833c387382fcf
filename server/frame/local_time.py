"""Local times, which a clock on the wall shows in a time zone, and the instants that they mean.

A local time is a datetime without a tzinfo; an instant is a datetime in UTC.
Where people plan by local time, it is kept together with its zone, since a zone's rules may change before it comes.
"""

import re
from datetime import UTC, datetime
from functools import cache
from zoneinfo import ZoneInfo, available_timezones

_NO_PLACES = frozenset({"localtime", "posixrules", "Factory"})
"""What tzdata's folder also has: the zone of this machine, and zones that stand for none."""
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

"""Recurrences, slow and plain: every day is tested against the rule, and every minute of a clock is read.

It shares nothing with the server: neither how a rule is read, nor dateutil, nor how a local time becomes an instant.
"""

from calendar import isleap, monthrange
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from itertools import groupby, product
from zoneinfo import ZoneInfo

DAY = timedelta(days=1)
MINUTE = timedelta(minutes=1)
WEEKDAYS = ["MO", "TU", "WE", "TH", "FR", "SA", "SU"]


def occurrences(
    text: str, start: datetime, zone: str, excluded: frozenset[datetime], last: date
) -> list[tuple[datetime, datetime]]:
    """Each occurrence as local time and instant, up to the local day `last`."""
    parts = dict(part.split("=") for part in text.split(";"))
    found = []
    for local in local_times(parts, start, last):
        instant = first_shown(local, zone)
        if instant is None:
            continue
        if is_over(parts.get("UNTIL"), local, instant):
            break
        found.append((local, instant))
        if len(found) == int(parts.get("COUNT", 0)):
            break
    return [each for each in found if each[0] not in excluded]


def is_over(until: str | None, local: datetime, instant: datetime) -> bool:
    if until is None:
        return False
    if until.endswith("Z"):
        return f"{instant:%Y%m%dT%H%M%SZ}" > until
    return (f"{local:%Y%m%dT%H%M%S}" if "T" in until else f"{local:%Y%m%d}") > until


def local_times(parts: dict[str, str], start: datetime, last: date) -> Iterator[datetime]:
    of_day = [sorted(values(parts, name, default)) for name, default in times_of_day(start)]
    times = [time(hour, minute, second) for hour, minute, second in product(*of_day)]
    # A period may begin before the start and end after the last day, and all of its days count for BYSETPOS.
    first, end = date(start.year - 1, 1, 1), date(last.year + 1, 1, 8)
    days = [first + DAY * n for n in range((end - first).days)]
    for period, of_period in groupby(days, lambda day: period_of(parts, day)):
        if (period - period_of(parts, start.date())) % int(parts.get("INTERVAL", 1)):
            continue
        found = [datetime.combine(day, each) for day in of_period if is_named(parts, start, day) for each in times]
        if "BYSETPOS" in parts:
            places = {n - 1 if n > 0 else len(found) + n for n in values(parts, "BYSETPOS", 0)}
            found = [local for place, local in enumerate(found) if place in places]
        yield from (local for local in found if local >= start and local.date() <= last)


def times_of_day(start: datetime) -> list[tuple[str, int]]:
    return [("BYHOUR", start.hour), ("BYMINUTE", start.minute), ("BYSECOND", start.second)]


def values(parts: dict[str, str], name: str, default: int) -> set[int]:
    return {int(value) for value in parts[name].split(",")} if name in parts else {default}


def period_of(parts: dict[str, str], day: date) -> int:
    match parts["FREQ"]:
        case "YEARLY":
            return week_of(day, parts.get("WKST", "MO"))[0] if "BYWEEKNO" in parts else day.year
        case "MONTHLY":
            return day.year * 12 + day.month
        case "WEEKLY":
            return beginning_of_week(day, parts.get("WKST", "MO")).toordinal() // 7
        case _:
            return day.toordinal()


@cache
def beginning_of_week(day: date, week_start: str) -> date:
    while WEEKDAYS[day.weekday()] != week_start:
        day -= DAY
    return day


@cache
def first_week(year: int, week_start: str) -> date:
    """The beginning of the first week of a year: the first that has at least four of its days in the year."""
    beginning = beginning_of_week(date(year, 1, 1), week_start)
    return beginning if sum((beginning + DAY * n).year == year for n in range(7)) >= 4 else beginning + DAY * 7


@cache
def week_of(day: date, week_start: str) -> tuple[int, int, int]:
    """The year, number and number from the end of the week of a day."""
    beginning = beginning_of_week(day, week_start)
    for year in (day.year + 1, day.year, day.year - 1):
        if first_week(year, week_start) <= beginning:
            number = (beginning - first_week(year, week_start)).days // 7 + 1
            return year, number, -((first_week(year + 1, week_start) - beginning).days // 7)
    raise AssertionError(day)


def is_named(parts: dict[str, str], start: datetime, day: date) -> bool:
    """Whether the parts of a rule that name days, and its start for those that it lacks, name this one."""
    length = 366 if isleap(day.year) else 365
    of_year = (day - date(day.year, 1, 1)).days + 1
    fixed = not parts.keys() & {"BYDAY", "BYMONTHDAY", "BYYEARDAY"}
    by_week = "BYWEEKNO" in parts
    of_month = {day.day, day.day - monthrange(day.year, day.month)[1] - 1}
    if "BYMONTH" in parts and day.month not in values(parts, "BYMONTH", 0):
        return False
    if by_week and not values(parts, "BYWEEKNO", 0) & set(week_of(day, parts.get("WKST", "MO"))[1:]):
        return False
    if "BYYEARDAY" in parts and not values(parts, "BYYEARDAY", 0) & {of_year, of_year - length - 1}:
        return False
    if "BYMONTHDAY" in parts and not values(parts, "BYMONTHDAY", 0) & of_month:
        return False
    if "BYDAY" in parts and not any(is_weekday(each, parts, day) for each in parts["BYDAY"].split(",")):
        return False
    return not fixed or is_as_the_start(parts, start, day)


def is_as_the_start(parts: dict[str, str], start: datetime, day: date) -> bool:
    """Where a rule names no days of its period, whether the day is the same as the start's."""
    if parts["FREQ"] == "WEEKLY" or "BYWEEKNO" in parts:
        return day.weekday() == start.weekday()
    if parts["FREQ"] == "DAILY":
        return True
    return day.day == start.day and ("BYMONTH" in parts or parts["FREQ"] == "MONTHLY" or day.month == start.month)


def is_weekday(text: str, parts: dict[str, str], day: date) -> bool:
    ordinal, name = text[:-2], text[-2:]
    if WEEKDAYS[day.weekday()] != name:
        return False
    if not ordinal:
        return True
    by_month = parts["FREQ"] == "MONTHLY" or "BYMONTH" in parts
    same = all_weekdays(day.year, day.month if by_month else None, day.weekday())
    place = int(ordinal) - 1 if int(ordinal) > 0 else len(same) + int(ordinal)
    return 0 <= place < len(same) and same[place] == day


@cache
def all_weekdays(year: int, month: int | None, weekday: int) -> list[date]:
    days = [date(year, 1, 1) + DAY * n for n in range(366)]
    return [day for day in days if day.year == year and month in {None, day.month} and day.weekday() == weekday]


@cache
def first_shown(local: datetime, zone: str) -> datetime | None:
    """The first instant at which a clock of the zone shows this local time, found by trying every offset of it."""
    for offset in sorted(offsets_around(local.date(), zone), reverse=True):
        instant = (local - offset).replace(tzinfo=UTC)
        if instant.astimezone(ZoneInfo(zone)).replace(tzinfo=None, fold=0) == local:
            return instant
    return None


@cache
def offsets_around(day: date, zone: str) -> frozenset[timedelta]:
    """The offsets from UTC within two days around a day, read at every 15 minutes."""
    middle = datetime.combine(day, time(12), UTC)
    return frozenset(offset_at(middle + timedelta(minutes=15 * n), zone) for n in range(-4 * 48, 4 * 48))


def offset_at(instant: datetime, zone: str) -> timedelta:
    offset = instant.astimezone(ZoneInfo(zone)).utcoffset()
    assert offset is not None
    return offset


def shown_minutes(begin: datetime, end: datetime, zone: str) -> dict[datetime, datetime]:
    """Each local minute that a clock of the zone shows between two instants, with the first instant of it."""
    shown: dict[datetime, datetime] = {}
    instant, clock = begin, ZoneInfo(zone)
    while instant < end:
        shown.setdefault(instant.astimezone(clock).replace(tzinfo=None, fold=0), instant)
        instant += MINUTE
    return shown


@cache
def changes(zone: str, first_year: int = 2020, last_year: int = 2035) -> list[datetime]:
    """The instants at which the clocks of a zone are changed in these years, to the minute."""
    found = []
    day, end = datetime(first_year, 1, 1, tzinfo=UTC), datetime(last_year, 12, 31, tzinfo=UTC)
    before = offset_at(day, zone)
    while day < end:
        after = offset_at(day + DAY, zone)
        if before != after:
            found.append(next(day + MINUTE * n for n in range(1441) if offset_at(day + MINUTE * n, zone) != before))
        day, before = day + DAY, after
    return found

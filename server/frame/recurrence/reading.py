"""Reads the text of a rule, strictly: what is not understood is refused, and not passed over."""

import re
from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any

from server.frame.errors import printable
from server.frame.recurrence.rule import WEEKDAYS, Frequency, OrdinalWeekday, RecurrenceInvalid, Rule

MAX_RULE_CHARACTERS = 1_000
MAX_INTERVAL = 1_000
MAX_COUNT = 10_000
MAX_TIMES_A_DAY = 96
"""By BYHOUR, BYMINUTE and BYSECOND together: every quarter of an hour."""

_NUMBER = re.compile(r"[+-]?[0-9]{1,9}")
_UNTIL = re.compile(r"([0-9]{8})(?:(T[0-9]{6})(Z)?)?")
_DAY = re.compile(rf"([+-]?[0-9]{{1,2}})?({'|'.join(WEEKDAYS)})")
_DAYS_OF_PERIOD = {Frequency.DAILY: 1, Frequency.WEEKLY: 7, Frequency.MONTHLY: 31, Frequency.YEARLY: 366}
_WEEKS_OF_PERIOD = {Frequency.MONTHLY: 5, Frequency.YEARLY: 53}
"""How often a weekday is in it at most."""
_ONLY_WITH = {
    "BYWEEKNO": (Frequency.YEARLY,),
    "BYYEARDAY": (Frequency.YEARLY,),
    "BYMONTHDAY": (Frequency.YEARLY, Frequency.MONTHLY, Frequency.DAILY),
}
"""With which frequencies RFC 5545 has a part."""


def read_rule(text: str) -> Rule:
    """The rule that the value of an RRULE property says; the property's own "RRULE:" may stand before it.

    Raises RecurrenceInvalid where RFC 5545 does not allow it, and for what this server does not offer: a FREQ of HOURLY
    or less, more than 96 times a day, an INTERVAL above 1,000, a COUNT above 10,000 and parts of other standards.
    """
    if len(text) > MAX_RULE_CHARACTERS:
        raise _invalid(f"has {len(text):,} characters, but at most {MAX_RULE_CHARACTERS:,} are accepted")
    if not text.isascii():
        raise _invalid("has other characters than those of ASCII")
    parts = _parts(text.upper().removeprefix("RRULE:"))
    if "FREQ" not in parts:
        raise _invalid("has no FREQ, such as FREQ=WEEKLY")
    rule = Rule(**dict(_READERS[name](name, value) for name, value in parts.items()))
    _require_parts_that_fit(rule, parts)
    _require_weekdays_that_fit(rule)
    _require_positions_that_exist(rule)
    return rule


def _invalid(description: str) -> RecurrenceInvalid:
    return RecurrenceInvalid("rule", description)


def _parts(text: str) -> dict[str, str]:
    parts: dict[str, str] = {}
    for part in text.split(";"):
        name, equals, value = part.partition("=")
        if not equals or not value:
            raise _invalid(f'"{printable(part)}" is not of the form NAME=VALUE')
        if name not in _READERS:
            raise _invalid(f"{printable(name)} is not a part that this server knows")
        if name in parts:
            raise _invalid(f"{name} is there twice")
        parts[name] = value
    return parts


def _frequency(_: str, value: str) -> tuple[str, Any]:
    if value in {"HOURLY", "MINUTELY", "SECONDLY"}:
        raise _invalid(f"FREQ={value} is not offered: name the times of a day, by FREQ=DAILY with BYHOUR and BYMINUTE")
    if value not in Frequency.__members__:
        raise _invalid(f"FREQ={printable(value)} is none of DAILY, WEEKLY, MONTHLY, YEARLY")
    return "frequency", Frequency(value)


def _until(_: str, value: str) -> tuple[str, Any]:
    try:
        if found := _UNTIL.fullmatch(value):
            day, of_day, utc = found.groups()
            if of_day is None:
                return "until", date.fromisoformat(day)
            return "until", datetime.fromisoformat(day + of_day).replace(tzinfo=UTC if utc else None)
    except ValueError:  # February 30th
        pass
    raise _invalid(
        f"UNTIL={printable(value)} is no time: write 20261231T225959Z in UTC, 20261231T235959 in local time,"
        " or the last day, 20261231"
    )


def _week_start(_: str, value: str) -> tuple[str, Any]:
    if value not in WEEKDAYS:
        raise _invalid(f"WKST={printable(value)} is none of {', '.join(WEEKDAYS)}")
    return "week_start", WEEKDAYS.index(value)


def _weekdays(name: str, value: str) -> tuple[str, Any]:
    days = set()
    for each in value.split(","):
        found = _DAY.fullmatch(each)
        if found is None or (found[1] and not int(found[1])):
            raise _invalid(f'{name}: "{printable(each)}" is no weekday, such as MO, 2TU or -1SU')
        days.add(OrdinalWeekday(WEEKDAYS.index(found[2]), int(found[1] or 0)))
    return "weekdays", tuple(sorted(days))


def _number(field: str, most: int) -> Callable[[str, str], tuple[str, Any]]:
    return lambda name, value: (field, _whole(name, value, 1, most))


def _numbers(field: str, least: int, most: int) -> Callable[[str, str], tuple[str, Any]]:
    """Reads a list; where `least` is negative, its numbers count from the end, and 0 is none."""
    return lambda name, value: (field, tuple(sorted({_whole(name, each, least, most) for each in value.split(",")})))


def _whole(name: str, text: str, least: int, most: int) -> int:
    number = int(text) if _NUMBER.fullmatch(text) else None
    if number is None or not least <= number <= most or (least < 0 and not number):
        allowed = f"1 to {most:,}, or -1 to {least:,} from the end" if least < 0 else f"{least:,} to {most:,}"
        raise _invalid(f"{name}: {printable(text) or 'nothing'} is not a number from {allowed}")
    return number


_READERS: dict[str, Callable[[str, str], tuple[str, Any]]] = {
    "FREQ": _frequency,
    "INTERVAL": _number("interval", MAX_INTERVAL),
    "COUNT": _number("count", MAX_COUNT),
    "UNTIL": _until,
    "WKST": _week_start,
    "BYMONTH": _numbers("months", 1, 12),
    "BYWEEKNO": _numbers("week_numbers", -53, 53),
    "BYYEARDAY": _numbers("year_days", -366, 366),
    "BYMONTHDAY": _numbers("month_days", -31, 31),
    "BYDAY": _weekdays,
    "BYHOUR": _numbers("hours", 0, 23),
    "BYMINUTE": _numbers("minutes", 0, 59),
    "BYSECOND": _numbers("seconds", 0, 59),
    "BYSETPOS": _numbers("positions", -366 * MAX_TIMES_A_DAY, 366 * MAX_TIMES_A_DAY),
}


def _require_parts_that_fit(rule: Rule, parts: dict[str, str]) -> None:
    if rule.count is not None and rule.until is not None:
        raise _invalid("has both COUNT and UNTIL: give one of them")
    for name, frequencies in _ONLY_WITH.items():
        if name in parts and rule.frequency not in frequencies:
            raise _invalid(f"{name} does not go with FREQ={rule.frequency}")
    times = max(1, len(rule.hours)) * max(1, len(rule.minutes)) * max(1, len(rule.seconds))
    if times > MAX_TIMES_A_DAY:
        raise _invalid(
            f"BYHOUR, BYMINUTE and BYSECOND name {times:,} times a day, but at most {MAX_TIMES_A_DAY} are accepted"
        )


def _require_weekdays_that_fit(rule: Rule) -> None:
    for each in rule.weekdays:
        if not each.ordinal:
            continue
        if rule.frequency not in _WEEKS_OF_PERIOD or rule.week_numbers:
            beside = "BYWEEKNO" if rule.week_numbers else f"FREQ={rule.frequency}"
            raise _invalid(f"BYDAY={each} does not go with {beside}: a weekday is counted in a month or a year")
        period = Frequency.MONTHLY if rule.months else rule.frequency
        most = _WEEKS_OF_PERIOD[period]
        if abs(each.ordinal) > most:
            raise _invalid(f"BYDAY={each}: a period of FREQ={period} has at most {most} of a weekday")


def _require_positions_that_exist(rule: Rule) -> None:
    if not rule.positions:
        return
    others = (rule.months, rule.week_numbers, rule.year_days, rule.month_days, rule.weekdays)
    times = (rule.hours, rule.minutes, rule.seconds)
    if not any(others + times):
        raise _invalid("BYSETPOS needs another BY part, of which it takes positions")
    most = _DAYS_OF_PERIOD[rule.frequency]
    for each in times:
        most *= max(1, len(each))
    if min(abs(position) for position in rule.positions) > most:
        raise _invalid(f"BYSETPOS: a period of FREQ={rule.frequency} has at most {most:,} occurrences")

"""The local times that a rule names, before any zone: days by dateutil, a year at a time, and times of day.

dateutil's own iteration cannot be bounded: where a rule names no day, it goes on to the year 9999 without giving back
control. So it is asked for one year, for which days the lists of a rule name. Intervals, BYWEEKNO and BYSETPOS are
counted here, where dateutil has days of a week across two years wrong.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import date, datetime, time, timedelta
from itertools import chain, groupby
from typing import Any

from server.frame.recurrence.rule import Frequency, OrdinalWeekday, Rule

HORIZON_YEARS = 100
"""How far after its start a series is followed: no work is without end, and nobody knows the clocks of that time."""
_NEVER_AGAIN_YEARS = 10_000
_DAYS_OF_WEEK = 7


def complete(rule: Rule, start: datetime) -> Rule:
    """The rule with what it leaves to the start: on which day of its period, and at which time of the day."""
    timed = replace(
        rule,
        hours=rule.hours or (start.hour,),
        minutes=rule.minutes or (start.minute,),
        seconds=rule.seconds or (start.second,),
    )
    if rule.weekdays or rule.month_days or rule.year_days:
        return timed
    if rule.frequency is Frequency.DAILY:
        return replace(timed, weekdays=tuple(OrdinalWeekday(day) for day in range(_DAYS_OF_WEEK)))
    if rule.frequency is Frequency.WEEKLY or rule.week_numbers:
        return replace(timed, weekdays=(OrdinalWeekday(start.weekday()),))
    if rule.frequency is Frequency.MONTHLY:
        return replace(timed, month_days=(start.day,))
    return replace(timed, month_days=(start.day,), months=rule.months or (start.month,))


def local_times(rule: Rule, start: datetime, since: date) -> Iterator[datetime]:
    """The local times that a complete rule names, in order, not before the start and not before the day `since`.

    They end at the horizon, whatever the rule; COUNT and UNTIL are not looked at.
    """
    times = [time(hour, minute, second) for hour in rule.hours for minute in rule.minutes for second in rule.seconds]
    since = max(since, start.date())
    # A week that began in the year before is whole only with its days there.
    first_year = (since - timedelta(days=_DAYS_OF_WEEK)).year
    days = chain.from_iterable(_days_of_year(rule, year) for year in range(first_year, start.year + HORIZON_YEARS + 1))
    for local in _of_periods(rule, start.date(), days, since, times):
        if local >= start:
            yield local


def _of_periods(rule: Rule, start: date, days: Iterable[date], since: date, times: list[time]) -> Iterator[datetime]:
    first = _period(rule, start)
    for period, found in groupby(days, lambda day: _period(rule, day)):
        if (period - first) % rule.interval:
            continue
        if rule.positions:
            yield from (local for local in _at_positions(rule.positions, list(found), times) if local.date() >= since)
        else:
            yield from (datetime.combine(day, each) for day in found if day >= since for each in times)


def _at_positions(positions: Iterable[int], days: list[date], times: list[time]) -> Iterator[datetime]:
    total = len(days) * len(times)
    places = {place - 1 if place > 0 else total + place for place in positions}
    for place in sorted(places):
        if 0 <= place < total:
            day, of_day = divmod(place, len(times))
            yield datetime.combine(days[day], times[of_day])


def _period(rule: Rule, day: date) -> int:
    """The number of the period of the rule's frequency in which a day lies."""
    match rule.frequency:
        case Frequency.DAILY:
            return day.toordinal()
        case Frequency.WEEKLY:
            return (day.toordinal() - 1 - rule.week_start) // _DAYS_OF_WEEK
        case Frequency.MONTHLY:
            return day.year * 12 + day.month
        case Frequency.YEARLY:
            # A week with a number belongs to one year, also with its days in the year beside.
            return _middle_of_week(rule, day).year if rule.week_numbers else day.year


def _middle_of_week(rule: Rule, day: date) -> date:
    """The fourth day of a week, whose year is the one in which the week has a number, as it has most of its days."""
    return day + timedelta(days=3 - (day.weekday() - rule.week_start) % _DAYS_OF_WEEK)


def _in_weeks(rule: Rule, day: date) -> bool:
    middle = _middle_of_week(rule, day)
    number = (middle.timetuple().tm_yday - 1) // _DAYS_OF_WEEK + 1
    # January 4th always is in the first week of its year, and December 28th in the last one.
    last = (_middle_of_week(rule, date(middle.year, 12, 28)).timetuple().tm_yday - 1) // _DAYS_OF_WEEK + 1
    return number in rule.week_numbers or number - last - 1 in rule.week_numbers


def _weekdays(rule: Rule) -> list[Any] | None:
    """BYDAY for dateutil, which finds no day at all where some have an ordinal and some have not: so all get some."""
    from dateutil.rrule import weekday

    if not any(day.ordinal for day in rule.weekdays):
        return [weekday(day.weekday) for day in rule.weekdays] or None
    every = range(1, 6 if rule.months or rule.frequency is Frequency.MONTHLY else 54)
    return [weekday(day.weekday, n) for day in rule.weekdays for n in ([day.ordinal] if day.ordinal else every)]


def _days_of_year(rule: Rule, year: int) -> Iterator[date]:
    """The days of one year that the lists of a complete rule name, but for BYSETPOS."""
    from dateutil.rrule import YEARLY, rrule

    monthly = rule.frequency is Frequency.MONTHLY
    found = rrule(
        YEARLY,
        datetime(year, 1, 1),
        interval=_NEVER_AGAIN_YEARS,
        bymonth=rule.months or (range(1, 13) if monthly else None),
        bymonthday=rule.month_days or None,
        byyearday=rule.year_days or None,
        byweekday=_weekdays(rule),
    )
    days = (each.date() for each in found)
    return (day for day in days if _in_weeks(rule, day)) if rule.week_numbers else days

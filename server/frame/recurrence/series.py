"""A series: a rule with a start in a time zone, and what occurs by it."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from itertools import islice
from typing import Self

from server.frame.local_time import TimeZoneUnknown, instant_of, local_of, time_zone
from server.frame.recurrence.local_times import HORIZON_YEARS, complete, local_times
from server.frame.recurrence.reading import read_rule
from server.frame.recurrence.rule import RecurrenceInvalid, Rule

MAX_EXCLUDED = 1_000
FIRST_YEAR, LAST_YEAR = 1900, 9800
"""Of a start."""
_FARTHEST_OFFSET = timedelta(days=2)
"""More than a local time and its instant are apart in any zone."""


@dataclass(frozen=True, slots=True)
class Occurrence:
    """One of a series."""

    local_start: datetime
    """What the clocks of the series' zone show, without tzinfo; it names the occurrence within its series."""
    start: datetime
    """The instant, in UTC."""


@dataclass(frozen=True, slots=True)
class Series:
    """What occurs by a rule from a start on, at the same local time however the clocks are changed.

    - A local time that the clocks skip is no occurrence and is not counted by COUNT.
    - Of a local time that the clocks show twice, the first is the occurrence.
    - The start is an occurrence only where the rule names it, as nothing else says what COUNT and the rule then mean.
    - COUNT counts excluded occurrences too; UNTIL is the last moment that belongs to the series.
    - Nothing occurs more than 100 years after the year of the start.

    Make one by `of`, which checks it; what was checked once and stored can be made directly, and so is not refused
    where a zone's rules have changed since.
    """

    rule: Rule
    start: datetime
    """The local time from which the series counts, without tzinfo."""
    time_zone: str
    """A name of the IANA database."""
    excluded: frozenset[datetime] = frozenset()
    """Local times, without tzinfo, at which nothing occurs though the rule names them."""

    @classmethod
    def of(cls, rule: str, start: datetime, time_zone: str, excluded: Iterable[datetime] = ()) -> Self:
        """The series of a rule's text, as RFC 5545 has it in RRULE, DTSTART with TZID, and EXDATE.

        Raises RecurrenceInvalid where one of them is invalid, and where nothing occurs in the 100 years from the start
        on, as by BYMONTH=2;BYMONTHDAY=30. An excluded time that the rule does not name is no error.
        """
        series = cls(read_rule(rule), start, time_zone, _checked_exclusions(excluded))
        _require_local("start", start)
        if not FIRST_YEAR <= start.year <= LAST_YEAR:
            raise RecurrenceInvalid("start", f"is not within the years {FIRST_YEAR} to {LAST_YEAR}")
        try:
            named = next(series._instants(None), None)
        except TimeZoneUnknown as unknown:
            raise RecurrenceInvalid("time_zone", str(unknown)) from None
        if named is None:
            end = "UNTIL" if series.rule.until else f"{HORIZON_YEARS} years later"
            raise RecurrenceInvalid("rule", f"has no occurrence from the start until {end}")
        if next(series.occurrences(), None) is None:
            raise RecurrenceInvalid("excluded", "leaves no occurrence")
        return series

    def occurrences(self, begin: datetime | None = None, end: datetime | None = None) -> Iterator[Occurrence]:
        """What starts from `begin` on and before `end`, in order; both are instants, and None sets no bound.

        It is computed as it is taken, and its cost does not grow with the time from the start to `begin` unless the
        rule has a COUNT, which is at most 10,000. An occurrence that began before `begin` and still lasts is found by
        a `begin` that is earlier by its duration.
        """
        for number, (local, instant) in enumerate(self._instants(begin), start=1):
            if end is not None and instant >= end:
                return
            if (begin is None or instant >= begin) and local not in self.excluded:
                yield Occurrence(local, instant)
            if number == self.rule.count:
                return

    def all(self, limit: int) -> list[Occurrence]:
        """Every occurrence; raises RecurrenceInvalid where there are more than `limit` of them."""
        found = list(islice(self.occurrences(), limit + 1))
        if len(found) > limit:
            fix = "give a smaller COUNT or an earlier UNTIL" if self.rule.bounded else "bound it by COUNT or UNTIL"
            raise RecurrenceInvalid("rule", f"has more than {limit:,} occurrences: {fix}")
        return found

    def next_after(self, instant: datetime) -> Occurrence | None:
        """The first occurrence that starts after this instant; None where none does."""
        return next((each for each in self.occurrences(instant) if each.start > instant), None)

    def next_after_completion(self, instant: datetime) -> Occurrence | None:
        """The first occurrence after the local day of this instant, had the series begun anew on that day.

        So "every 3 days" is 3 days after something was done, and "every Monday" is the Monday after it, both at the
        time of day of the series. UNTIL still ends it; COUNT is not looked at, as the caller knows how many there were.
        """
        day = local_of(instant, time_zone(self.time_zone)).date()
        anew = replace(self, rule=replace(self.rule, count=None), start=datetime.combine(day, self.start.time()))
        return next((each for each in anew.occurrences() if each.local_start.date() > day), None)

    def _instants(self, begin: datetime | None) -> Iterator[tuple[datetime, datetime]]:
        """Local times and their instants up to UNTIL, excluded ones too; from the start on where there is a COUNT."""
        zone = time_zone(self.time_zone)
        last_day = _last_day(self.rule)
        for local in local_times(complete(self.rule, self.start), self.start, self._since(begin)):
            if local.date() > last_day:
                return
            instant = instant_of(local, zone)
            if instant is None:
                continue
            if _is_over(self.rule.until, local, instant):
                return
            yield local, instant

    def _since(self, begin: datetime | None) -> date:
        if begin is None or self.rule.count is not None:
            return self.start.date()
        earliest = self.start.replace(tzinfo=UTC) - _FARTHEST_OFFSET
        return (max(begin, earliest + _FARTHEST_OFFSET) - _FARTHEST_OFFSET).date()


def _last_day(rule: Rule) -> date:
    """A local day after which a rule certainly has ended."""
    until = rule.until
    if until is None:
        return date.max
    day = until.date() if isinstance(until, datetime) else until
    return day + min(_FARTHEST_OFFSET, date.max - day)


def _is_over(until: date | None, local: datetime, instant: datetime) -> bool:
    if until is None:
        return False
    if not isinstance(until, datetime):
        return local.date() > until
    return instant > until if until.tzinfo else local > until


def _checked_exclusions(excluded: Iterable[datetime]) -> frozenset[datetime]:
    found = list(islice(excluded, MAX_EXCLUDED + 1))
    if len(found) > MAX_EXCLUDED:
        raise RecurrenceInvalid("excluded", f"has more than {MAX_EXCLUDED:,} times")
    for number, each in enumerate(found):
        _require_local(f"excluded[{number}]", each)
    return frozenset(found)


def _require_local(field: str, local: datetime) -> None:
    if local.tzinfo is not None:
        raise RecurrenceInvalid(field, "has an offset from UTC, but is a local time of the series' time zone")
    if local.microsecond:
        raise RecurrenceInvalid(field, "has a fraction of a second")

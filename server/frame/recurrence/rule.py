"""What a rule of recurrence says, and its canonical text."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import NamedTuple

WEEKDAYS = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")


class RecurrenceInvalid(ValueError):
    """No series can be made of what was given."""

    def __init__(self, field: str, description: str) -> None:
        """`field` is "rule", "start", "time_zone" or "excluded[2]", and `description` says what is wrong with it.

        A module puts the field's path in its own message before it:
        `FieldInvalid.of(f"recurrence.{invalid.field}", invalid.description)`.
        """
        super().__init__(f"{field}: {description}")
        self.field = field
        self.description = description


class Frequency(StrEnum):
    """How long a period of a rule is; by INTERVAL, some periods are passed over."""

    YEARLY = "YEARLY"
    MONTHLY = "MONTHLY"
    WEEKLY = "WEEKLY"
    DAILY = "DAILY"


class OrdinalWeekday(NamedTuple):
    """A weekday, as BYDAY names it."""

    weekday: int
    """From 0, a Monday, to 6."""
    ordinal: int = 0
    """Which of its month or year, from 1; from -1 where it counts from the end; 0 for each."""

    def __str__(self) -> str:
        return f"{self.ordinal or ''}{WEEKDAYS[self.weekday]}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A rule of recurrence as `read_rule` checks it; its lists are sorted and name nothing twice.

    An empty list is a part that the rule does not have.
    """

    frequency: Frequency
    interval: int = 1
    count: int | None = None
    until: date | datetime | None = None
    """The last moment of the series: a local time without tzinfo, a time in UTC, or the last local day."""
    week_start: int = 0
    """The weekday on which a week begins: 0 is Monday."""
    months: tuple[int, ...] = ()
    week_numbers: tuple[int, ...] = ()
    year_days: tuple[int, ...] = ()
    month_days: tuple[int, ...] = ()
    weekdays: tuple[OrdinalWeekday, ...] = ()
    hours: tuple[int, ...] = ()
    minutes: tuple[int, ...] = ()
    seconds: tuple[int, ...] = ()
    positions: tuple[int, ...] = ()

    @property
    def bounded(self) -> bool:
        """Whether the rule itself says where the series ends."""
        return self.count is not None or self.until is not None

    def __str__(self) -> str:
        """The rule as the value of an RRULE property, in the canonical form, which is the one to store.

        Two texts that differ only in the order of parts or values, in letters' case, in repeated values or in values
        that are the default have the same one.
        """
        parts = {
            "FREQ": self.frequency.value,
            "INTERVAL": str(self.interval) if self.interval != 1 else "",
            "COUNT": str(self.count or ""),
            "UNTIL": _until_text(self.until) if self.until else "",
            "WKST": WEEKDAYS[self.week_start] if self.week_start else "",
            "BYMONTH": _listed(self.months),
            "BYWEEKNO": _listed(self.week_numbers),
            "BYYEARDAY": _listed(self.year_days),
            "BYMONTHDAY": _listed(self.month_days),
            "BYDAY": _listed(self.weekdays),
            "BYHOUR": _listed(self.hours),
            "BYMINUTE": _listed(self.minutes),
            "BYSECOND": _listed(self.seconds),
            "BYSETPOS": _listed(self.positions),
        }
        return ";".join(f"{name}={value}" for name, value in parts.items() if value)


def _until_text(until: date) -> str:
    day = f"{until.year:04}{until:%m%d}"
    if not isinstance(until, datetime):
        return day
    return f"{day}T{until:%H%M%S}{'Z' if until.tzinfo else ''}"


def _listed(values: Iterable[int | OrdinalWeekday]) -> str:
    return ",".join(str(value) for value in values)

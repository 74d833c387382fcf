"""What callers ask for: which resources, when, for whom and for how long."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

from server.bookings.rules.availability import Choices
from server.bookings.rules.hours import MINUTE, moment_of, moments_of, seconds_of
from server.frame.caller import Caller
from server.frame.errors import FieldInvalid
from server.frame.local_time import TimeZoneUnknown, local_of, time_zone
from server.frame.recurrence import RecurrenceInvalid, Series
from storage.bookings.records import BusyWindow, Resource
from storage.frame.records import ChangeContext

_FIRST_YEAR, _LAST_YEAR = 2000, 9000
MAX_OCCURRENCES = 500
MAX_PAIRS = 4_000
"""Times with resources, or seats: what one call may have decided or stored."""


@dataclass(frozen=True, slots=True)
class Start:
    """When a booking is to begin: an instant, or a local time."""

    time: datetime | None = None
    local: datetime | None = None


@dataclass(frozen=True, slots=True)
class Span:
    """The time of one booking."""

    start: int
    """In seconds since 1970."""
    end: int
    local_start: datetime
    local_second: bool
    """Whether the clocks show that local time twice, and it is the second time."""
    time_zone: str


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be booked, and when."""

    choices: Choices
    start: Start
    duration_minutes: int
    time_zone: str
    """Empty means that of the first resource."""
    seats: int

    @property
    def resource_ids(self) -> Sequence[UUID]:
        return ids_of(self.choices)


@dataclass(frozen=True, slots=True)
class Recurrence:
    """How a series goes on."""

    rule: str
    excluded: Sequence[datetime]
    all_or_none: bool


@dataclass(frozen=True, slots=True)
class MakeBooking:
    """A request to book, under the id that the booking will have."""

    caller: Caller
    context: ChangeContext
    booking_id: UUID
    wanted: Wanted
    customer_id: str | None
    """None means the caller."""
    title: str
    lease: timedelta | None
    """For how long it waits to be confirmed; None means that it is confirmed."""

    @property
    def customer(self) -> str:
        """Whose booking it will be."""
        return self.customer_id or str(self.caller.account_id)


def ids_of(choices: Choices) -> Sequence[UUID]:
    return [resource_id for choice in choices for resource_id in choice]


def check_choices(choices: Choices) -> None:
    """Raises FieldInvalid where a resource is in two choices, so that it could have to be both."""
    ids = ids_of(choices)
    if len(set(ids)) < len(ids):
        raise FieldInvalid.of("choices", "must not name a resource twice")


def check_pairs(times: int, choices: Choices, path: str) -> None:
    """Raises FieldInvalid, naming the path, where so many times cannot be decided for so many resources at once."""
    most = MAX_PAIRS // len(ids_of(choices))
    if times > most:
        raise FieldInvalid.of(path, f"must be at most {most} where so many resources are named")


def zone_named(name: str, path: str) -> ZoneInfo:
    """Raises FieldInvalid, naming the path, where there is no such zone."""
    try:
        return time_zone(name)
    except TimeZoneUnknown as unknown:
        raise FieldInvalid.of(path, str(unknown)) from None


def span_of(wanted: Wanted, resources: Mapping[UUID, Resource]) -> Span:
    """The time that is asked for; raises FieldInvalid where there is no such time."""
    name = wanted.time_zone or resources[wanted.resource_ids[0]].time_zone
    return span_at(wanted.start, wanted.duration_minutes, name)


def span_at(start: Start, duration_minutes: int, zone_name: str) -> Span:
    """The same of a booking in a zone; raises FieldInvalid."""
    zone = zone_named(zone_name, "time_zone")
    if start.local is not None:
        moments = moments_of(_near(start.local, "local_start"), zone)
        if not moments:
            raise FieldInvalid.of("local_start", f"is a time that the clocks of {zone_name} skip on that day")
        return span_from(moments[0], duration_minutes, zone_name, zone)
    assert start.time is not None  # noqa: S101 - the contract requires one of them
    _near(start.time, "start_time")
    if start.time.second or start.time.microsecond:
        raise FieldInvalid.of("start_time", "must be a whole minute")
    return span_from(seconds_of(start.time), duration_minutes, zone_name, zone)


def span_from(start: int, duration_minutes: int, zone_name: str, zone: ZoneInfo) -> Span:
    local = local_of(moment_of(start), zone)
    second = moments_of(local, zone)[-1:] == [start] and len(moments_of(local, zone)) > 1
    return Span(start, start + duration_minutes * MINUTE, local, second, zone_name)


def spans_of(wanted: Wanted, recurrence: Recurrence, resources: Mapping[UUID, Resource]) -> Sequence[Span]:
    """The times of a series, in their order; raises FieldInvalid where the rule is malformed or has too many."""
    first = span_of(wanted, resources)
    zone = time_zone(first.time_zone)
    try:
        series = Series.of(recurrence.rule, first.local_start, first.time_zone, recurrence.excluded)
        found = series.all(_most_occurrences(wanted))
    except RecurrenceInvalid as invalid:
        path = "first.local_start" if invalid.field == "start" else f"recurrence.{invalid.field}"
        raise FieldInvalid.of(path, invalid.description) from None
    return [span_from(seconds_of(each.start), wanted.duration_minutes, first.time_zone, zone) for each in found]


def _most_occurrences(wanted: Wanted) -> int:
    """One at least, as `Book` would book."""
    pairs = max(len(wanted.resource_ids), len(wanted.choices) * wanted.seats)
    return max(1, min(MAX_OCCURRENCES, MAX_PAIRS // pairs))


def windows_of(
    spans: Sequence[tuple[Sequence[UUID], int, int]], resources: Mapping[UUID, Resource]
) -> Sequence[BusyWindow]:
    """Where to look for what is taken when resources are wanted for these times, with their buffers.

    What lies close together is one window.
    """
    by_resource: dict[UUID, list[tuple[int, int]]] = {}
    for resource_ids, start, end in spans:
        for resource_id in resource_ids:
            resource = resources[resource_id]
            begin = start - resource.buffer_before_minutes * MINUTE
            finish = end + resource.buffer_after_minutes * MINUTE
            by_resource.setdefault(resource_id, []).append((begin, finish))
    return [
        BusyWindow(resources[resource_id].number, moment_of(begin), moment_of(finish))
        for resource_id, times in by_resource.items()
        for begin, finish in _joined(sorted(times))
    ]


def _joined(times: Sequence[tuple[int, int]]) -> Sequence[tuple[int, int]]:
    joined: list[tuple[int, int]] = []
    for begin, finish in times:
        if joined and begin <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(finish, joined[-1][1]))
        else:
            joined.append((begin, finish))
    return joined


def _near(time: datetime, path: str) -> datetime:
    if not _FIRST_YEAR <= time.year <= _LAST_YEAR:
        raise FieldInvalid.of(path, f"must be in the years {_FIRST_YEAR} to {_LAST_YEAR}")
    return time

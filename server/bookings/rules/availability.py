"""What of resources is free: the one decision by which times are offered, checked, booked and moved to."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from math import ceil
from typing import Generic
from uuid import UUID

from server.bookings.errors import (
    AlreadyBooked,
    BeyondBookingWindow,
    NoticeTooShort,
    OffSlotStep,
    OutsideOpeningHours,
    ResourceArchived,
    ResourceNotFound,
    TooManySeats,
)
from server.bookings.rules.hours import MINUTE, OpeningHours
from server.bookings.rules.taken import Taken, Time, full_until
from server.frame.errors import Refusal
from storage.bookings.records import Busy, Resource, TakenTime

Choices = Sequence[Sequence[UUID]]
"""What is to be booked: one resource of each choice."""

REFUSALS: Mapping[str, type[Refusal]] = {
    each.reason: each
    for each in (
        ResourceArchived,
        TooManySeats,
        NoticeTooShort,
        BeyondBookingWindow,
        OutsideOpeningHours,
        OffSlotStep,
        AlreadyBooked,
    )
}
"""Why a resource cannot be booked for a time, in the order in which that is checked, by the reasons."""

_NEVER = 2**62
"""In seconds since 1970: beyond all times."""
_FOUND_PER_DECISION = 10
"""How much of what is taken can be looked at for what one decision costs otherwise."""


class Calendar(Generic[Time]):
    """One resource: its rules, and what of it is taken. All times are in seconds since 1970."""

    def __init__(self, resource: Resource, taken: Collection[Time], now: datetime) -> None:
        """`taken` is all that is taken in the time that is asked about; leases that have ended take nothing."""
        self.resource = resource
        self.hours = OpeningHours(resource)
        self.taken = Taken(taken)
        self.earliest = ceil(now.timestamp()) + resource.minimum_notice_minutes * MINUTE
        """When a booking can begin."""
        self.latest = int(now.timestamp()) + resource.booking_window_minutes * MINUTE
        self.most_seats = 0 if resource.archived else resource.capacity
        self.last_choice = resource.choose_time or datetime.min.replace(tzinfo=UTC)
        self.before = resource.buffer_before_minutes * MINUTE
        self.after = resource.buffer_after_minutes * MINUTE
        self.decisions = 0
        """How much was decided, as a measure of what it cost."""

    def refusal(self, start: int, end: int, seats: int) -> type[Refusal] | None:
        """Why a booking cannot be made; None where it can."""
        return self.decide(start, end, seats)[0]

    def decide(self, start: int, end: int, seats: int) -> tuple[type[Refusal] | None, int]:
        """Why a booking cannot be made, or None; and when one as long can begin at the earliest, from this start on.

        All is offered, checked, booked and moved by this. Where it cannot be made, that moment is later than the start,
        and whether one can begin then is another decision.
        """
        self.decisions += 1
        if start < self.earliest or start > self.latest or seats > self.most_seats:
            return self._out_of_reach(start, seats)
        opening = self.hours.opening_at(start)
        if opening is None:
            return OutsideOpeningHours, self.hours.next_opening(start)
        if end > opening.ends and (closing := self.hours.open_until(opening.ends, end)) < end:
            return OutsideOpeningHours, self.hours.next_opening(closing)
        step = opening.next_start(start)
        if step != start:
            return OffSlotStep, step
        free = self._free_from(start, end, seats)
        if free == start:
            return None, start
        return AlreadyBooked, opening.next_start(free) if free < opening.ends else free

    def _out_of_reach(self, start: int, seats: int) -> tuple[type[Refusal], int]:
        if self.resource.archived:
            return ResourceArchived, _NEVER
        if seats > self.resource.capacity:
            return TooManySeats, _NEVER
        return (NoticeTooShort, self.earliest) if start < self.earliest else (BeyondBookingWindow, _NEVER)

    def _free_from(self, start: int, end: int, seats: int) -> int:
        """The start where a booking has room, and otherwise the first later one at which it may have."""
        begin, finish = start - self.before, end + self.after
        latest_end = self.taken.latest_end(begin, finish)
        if latest_end is None:
            return start
        if self.resource.capacity == 1:
            return latest_end + self.before
        found = self.taken.overlapping(begin, finish)
        self.decisions += len(found) // _FOUND_PER_DECISION
        full = full_until(found, start, end, self.resource.capacity - seats)
        if full is not None:
            return full
        return start if all(self._shares(each, start, end) for each in found) else start + 1

    def _shares(self, other: Busy | TakenTime, start: int, end: int) -> bool:
        """Whether two bookings can have the resource together: both are there, and no buffer reaches into either."""
        if end <= other.start or other.end <= start:
            return False
        before, after = (start - self.before, start), (end, end + self.after)
        theirs = ((other.occupied_start, other.start), (other.end, other.occupied_end))
        reached = any(begin < other.end and other.start < finish for begin, finish in (before, after) if begin < finish)
        return not reached and not any(begin < end and start < finish for begin, finish in theirs if begin < finish)


@dataclass(frozen=True, slots=True)
class Sought:
    """What is to be booked, whenever it can be."""

    choices: Choices
    duration: int
    """In seconds."""
    seats: int


class Offers(Generic[Time]):
    """What can be booked of several resources."""

    def __init__(self, calendars: Mapping[UUID, Calendar[Time]]) -> None:
        self.calendars = calendars
        self.decisions = 0
        """How much was decided to find starts, as a measure of what it cost."""

    def chosen(self, choices: Choices, start: int, end: int, seats: int) -> Sequence[Calendar[Time]]:
        """One resource of each choice for a time: of several, the one that was chosen the longest ago.

        Raises why a booking cannot be made.
        """
        return [self._chosen(choice, start, end, seats) for choice in choices]

    def _chosen(self, choice: Sequence[UUID], start: int, end: int, seats: int) -> Calendar[Time]:
        refusals: list[tuple[type[Refusal], UUID]] = []
        free: list[Calendar[Time]] = []
        for resource_id in choice:
            calendar = self.calendars[resource_id]
            refusal = calendar.refusal(start, end, seats)
            if refusal is None:
                free.append(calendar)
            else:
                refusals.append((refusal, resource_id))
        if free:
            return min(free, key=lambda calendar: (calendar.last_choice, calendar.resource.id))
        taken = (each for each in refusals if each[0] is AlreadyBooked)
        refusal, resource_id = next(taken, refusals[0])
        raise refusal(resource_id=str(resource_id))

    def starts(
        self, sought: Sought, begin: int, until: int, *, limit: int, decisions: int
    ) -> tuple[Sequence[int], int]:
        """The first times from `begin` on and before `until` at which bookings can begin, each by itself.

        Also returns from where to go on: it ends early once there are so many times, or so much was decided.
        """
        if len(sought.choices) == len(sought.choices[0]) == 1:
            return self._starts_of_one(sought, begin, until, limit, decisions)
        choices = [[self.calendars[resource_id] for resource_id in choice] for choice in sought.choices]
        possible = [[begin] * len(calendars) for calendars in choices]
        found: list[int] = []
        most = self.decisions + decisions
        while begin < until and len(found) < limit and self.decisions < most:
            later = begin
            for calendars, starts in zip(choices, possible, strict=True):
                self._look_ahead(calendars, starts, sought, begin)
                later = max(later, min(starts))
            if later == begin:
                found.append(begin)
                later += 1
            begin = later
        return found, begin

    def _starts_of_one(
        self, sought: Sought, begin: int, until: int, limit: int, decisions: int
    ) -> tuple[Sequence[int], int]:
        """The same of a single resource, which most searches are for."""
        calendar = self.calendars[sought.choices[0][0]]
        decide, duration, seats = calendar.decide, sought.duration, sought.seats
        found: list[int] = []
        before = calendar.decisions
        while begin < until and len(found) < limit and calendar.decisions - before < decisions:
            refusal, possible = decide(begin, begin + duration, seats)
            if refusal is None:
                found.append(begin)
                possible += 1
            begin = possible
        self.decisions += calendar.decisions - before
        return found, begin

    def _look_ahead(self, calendars: Sequence[Calendar[Time]], starts: list[int], sought: Sought, begin: int) -> None:
        """Works out when each resource can be booked at the earliest, from `begin` on, where it is not known yet."""
        for place, calendar in enumerate(calendars):
            if starts[place] <= begin:
                before = calendar.decisions
                starts[place] = calendar.decide(begin, begin + sought.duration, sought.seats)[1]
                self.decisions += calendar.decisions - before


def known(resource_ids: Collection[UUID], found: Mapping[UUID, Resource]) -> None:
    """Raises ResourceNotFound where one of them is not there."""
    missing = next((each for each in resource_ids if each not in found), None)
    if missing is not None:
        raise ResourceNotFound(resource_id=str(missing))

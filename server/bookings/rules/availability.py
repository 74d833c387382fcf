"""What of resources is free: the one decision by which times are offered, checked, booked and moved to."""

from bisect import bisect_left, bisect_right
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from heapq import merge
from itertools import accumulate, groupby
from operator import attrgetter
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
from server.frame.errors import Refusal
from storage.bookings.records import Busy, Resource

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

_IN_ORDER = attrgetter("occupied_start")


class Taken:
    """The places of one resource that are taken, in order of when they are."""

    def __init__(self, busy: Collection[Busy]) -> None:
        self._busy = sorted(busy, key=_IN_ORDER)
        self._begins = [each.occupied_start for each in self._busy]
        self._latest_ends = [*accumulate((each.occupied_end for each in self._busy), max)]

    def __iter__(self) -> Iterator[Busy]:
        return iter(self._busy)

    def add(self, busy: Busy) -> None:
        place = bisect_right(self._begins, busy.occupied_start)
        self._busy.insert(place, busy)
        self._begins.insert(place, busy.occupied_start)
        ends = (each.occupied_end for each in self._busy[place:])
        before = self._latest_ends[place - 1] if place else 0
        self._latest_ends[place:] = [*accumulate(ends, max, initial=before)][1:]

    def replace(self, old: Busy, new: Busy) -> None:
        """Has another place taken at the same time."""
        self._busy[self._busy.index(old, bisect_left(self._begins, old.occupied_start))] = new

    def free(self, begin: int, end: int) -> bool:
        """Whether nothing is taken between two moments, buffers included."""
        place = bisect_left(self._begins, end) - 1
        return place < 0 or self._latest_ends[place] <= begin

    def overlapping(self, begin: int, end: int) -> Sequence[Busy]:
        """What is taken between two moments, buffers included."""
        found = []
        place = bisect_left(self._begins, end) - 1
        while place >= 0 and self._latest_ends[place] > begin:
            if self._busy[place].occupied_end > begin:
                found.append(self._busy[place])
            place -= 1
        return found


class Calendar:
    """One resource: its rules, and what of it is taken. All times are in seconds since 1970."""

    def __init__(self, resource: Resource, busy: Collection[Busy], now: datetime) -> None:
        """`busy` is all that is taken in the time that is asked about; leases that have ended take nothing."""
        self.resource = resource
        self.hours = OpeningHours(resource)
        moment = now.timestamp()
        self.ended = {each.booking_id for each in busy if each.lease_end is not None and each.lease_end <= moment}
        """The bookings among them whose leases have ended."""
        self.taken = Taken([each for each in busy if each.booking_id not in self.ended] if self.ended else busy)
        self.earliest = moment + resource.minimum_notice_minutes * MINUTE
        """When a booking can begin."""
        self.latest = moment + resource.booking_window_minutes * MINUTE
        self.last_choice = resource.choose_time or datetime.min.replace(tzinfo=UTC)
        self.before = resource.buffer_before_minutes * MINUTE
        self.after = resource.buffer_after_minutes * MINUTE

    def refusal(self, start: int, end: int, seats: int) -> type[Refusal] | None:
        """Why a booking cannot be made; None where it can."""
        if self.resource.archived:
            return ResourceArchived
        if seats > self.resource.capacity:
            return TooManySeats
        if start < self.earliest:
            return NoticeTooShort
        if start > self.latest:
            return BeyondBookingWindow
        opening = self.hours.opening_at(start)
        if opening is None or not (end <= opening.ends or self.hours.open_throughout(opening.ends, end)):
            return OutsideOpeningHours
        if not opening.has_start(start):
            return OffSlotStep
        return None if self._has_room(start, end, seats) else AlreadyBooked

    def free_places(self, start: int, end: int, seats: int) -> Sequence[int]:
        """As many places as there are seats, which nobody has meanwhile; fewer where bookings must trade theirs."""
        taken = {each.place for each in self.taken.overlapping(start - self.before, end + self.after)}
        free = (place for place in range(1, self.resource.capacity + 1) if place not in taken)
        return [place for place, _ in zip(free, range(seats), strict=False)]

    def _has_room(self, start: int, end: int, seats: int) -> bool:
        begin, finish = start - self.before, end + self.after
        if self.taken.free(begin, finish):
            return True
        if self.resource.capacity == 1:
            return False
        found = self.taken.overlapping(begin, finish)
        if not all(self._shares(each, start, end) for each in found):
            return False
        return most_at_once(found, start, end) + seats <= self.resource.capacity

    def _shares(self, other: Busy, start: int, end: int) -> bool:
        """Whether two bookings can have the resource together: both are there, and no buffer reaches into either."""
        if end <= other.start or other.end <= start:
            return False
        before, after = (start - self.before, start), (end, end + self.after)
        theirs = ((other.occupied_start, other.start), (other.end, other.occupied_end))
        reached = any(begin < other.end and other.start < finish for begin, finish in (before, after) if begin < finish)
        return not reached and not any(begin < end and start < finish for begin, finish in theirs if begin < finish)


def most_at_once(found: Collection[Busy], start: int, end: int) -> int:
    """How many places are taken at the same time, at most, between two moments."""
    changes = [(max(each.start, start), 1) for each in found] + [(each.end, -1) for each in found if each.end < end]
    return max(accumulate(change for _, change in sorted(changes)))


class Offers:
    """What can be booked of several resources."""

    def __init__(self, calendars: Mapping[UUID, Calendar]) -> None:
        self.calendars = calendars

    def chosen(self, choices: Choices, start: int, end: int, seats: int) -> Sequence[Calendar]:
        """One resource of each choice for a time: of several, the one that was chosen the longest ago.

        Raises why a booking cannot be made.
        """
        return [self._chosen(choice, start, end, seats) for choice in choices]

    def _chosen(self, choice: Sequence[UUID], start: int, end: int, seats: int) -> Calendar:
        refusals: list[tuple[type[Refusal], UUID]] = []
        free: list[Calendar] = []
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

    def starts(self, choices: Choices, begin: int, end: int, duration: int, seats: int) -> Iterator[int]:
        """When bookings can begin, from `begin` on, if they end by `end`: each by itself, and at no other time."""
        if len(choices) == len(choices[0]) == 1:  # by far the most frequent, and a year of it is much to go through
            calendar = self.calendars[choices[0][0]]
            starts, refusal = calendar.hours.starts(begin, end - duration + 1), calendar.refusal
            yield from (moment for moment in starts if refusal(moment, moment + duration, seats) is None)
            return
        first = [self.calendars[resource_id].hours.starts(begin, end - duration + 1) for resource_id in choices[0]]
        for moment, _ in groupby(merge(*first)):
            if all(self._any_free(choice, moment, moment + duration, seats) for choice in choices):
                yield moment

    def _any_free(self, choice: Sequence[UUID], start: int, end: int, seats: int) -> bool:
        return any(self.calendars[resource_id].refusal(start, end, seats) is None for resource_id in choice)


def known(resource_ids: Collection[UUID], found: Mapping[UUID, Resource]) -> None:
    """Raises ResourceNotFound where one of them is not there."""
    missing = next((each for each in resource_ids if each not in found), None)
    if missing is not None:
        raise ResourceNotFound(resource_id=str(missing))

"""When places of one resource are taken; all times are in seconds since 1970."""

from bisect import bisect_left, bisect_right
from collections.abc import Collection, Iterator, Sequence
from itertools import accumulate
from operator import attrgetter
from typing import Generic, TypeVar

from storage.bookings.records import Busy, TakenTime

Time = TypeVar("Time", bound=Busy | TakenTime)
"""Whoever makes or moves a booking sees each place of each booking; whoever only searches, how many are taken."""

_IN_ORDER = attrgetter("occupied_start")


class Taken(Generic[Time]):
    """What is taken of a resource, in order of when it is."""

    def __init__(self, times: Collection[Time]) -> None:
        self._times = sorted(times, key=_IN_ORDER)
        self._begins = [each.occupied_start for each in self._times]
        self._latest_ends = [*accumulate((each.occupied_end for each in self._times), max)]

    def __iter__(self) -> Iterator[Time]:
        return iter(self._times)

    def add(self, time: Time) -> None:
        place = bisect_right(self._begins, time.occupied_start)
        self._times.insert(place, time)
        self._begins.insert(place, time.occupied_start)
        ends = (each.occupied_end for each in self._times[place:])
        before = self._latest_ends[place - 1] if place else 0
        self._latest_ends[place:] = [*accumulate(ends, max, initial=before)][1:]

    def replace(self, old: Time, new: Time) -> None:
        """Has another place taken at the same time."""
        self._times[self._times.index(old, bisect_left(self._begins, old.occupied_start))] = new

    def latest_end(self, begin: int, end: int) -> int | None:
        """When the last of what is taken between two moments is free again, buffers included; None where nothing is."""
        place = bisect_left(self._begins, end) - 1
        return self._latest_ends[place] if place >= 0 and self._latest_ends[place] > begin else None

    def overlapping(self, begin: int, end: int) -> Sequence[Time]:
        """What is taken between two moments, buffers included."""
        found = []
        place = bisect_left(self._begins, end) - 1
        while place >= 0 and self._latest_ends[place] > begin:
            if self._times[place].occupied_end > begin:
                found.append(self._times[place])
            place -= 1
        return found


def full_until(found: Collection[Busy | TakenTime], start: int, end: int, most: int) -> int | None:
    """Until when more than so many places are taken, the last time that they are between two moments.

    None where they never are.
    """
    until, places = None, 0
    inside = [each for each in found if each.start < end and start < each.end]
    changes = [(max(each.start, start), each.places) for each in inside] + [(each.end, -each.places) for each in inside]
    for moment, change in sorted(changes):
        if places > most:
            until = moment
        places += change
    return until

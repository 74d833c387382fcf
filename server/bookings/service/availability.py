from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from server.bookings.rules.asking import Span, Wanted, ids_of, span_of, windows_of
from server.bookings.rules.availability import Calendar, Offers, Sought, known
from server.bookings.rules.hours import MINUTE
from server.bookings.service.placing import Times
from server.frame.errors import Refusal
from storage.bookings.records import Resource, TakenTime
from storage.bookings.store import BookingsReading, BookingsStore

_DAY_SECONDS = 24 * 60 * MINUTE
_FIRST_READ_SECONDS, _MORE = 28 * _DAY_SECONDS, 16
"""How much of a window is read at once to begin with, and how many times as much each time after that: a page that
fills soon reads little."""
_LONGEST_READ_SECONDS = 366 * _DAY_SECONDS
"""Of one resource; of several, as much less of each."""
_MOST_READS = 6
_MOST_DECISIONS = 12_000
"""For one page, so that others are answered meanwhile; a page that needs more ends before it is full."""


class Slot(NamedTuple):
    """A time that can be booked, in seconds since 1970."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Search:
    """Which times are looked for, and in which window, in seconds since 1970."""

    sought: Sought
    begin: int
    end: int


@dataclass(frozen=True, slots=True)
class FoundSlots:
    """The first times in a window at which a booking can begin."""

    slots: Sequence[Slot]
    rest: int | None
    """From when on there may be more that were not looked for; None where all was looked through, or enough found."""


class Availability:
    """When resources are free, decided just as it is when they are booked."""

    def __init__(self, store: BookingsStore, now: Callable[[], datetime]) -> None:
        self._store = store
        self._now = now

    async def find(self, search: Search, limit: int) -> FoundSlots:
        """The first times in a window at which a booking can begin; raises ResourceNotFound."""
        sought, found, left = search.sought, list[int](), _MOST_DECISIONS
        ids = ids_of(sought.choices)
        async with self._store.reading() as reading:
            resources = await reading.resources.find_many(ids)
            known(ids, resources)
            now = self._now()
            begin, until = _within_reach(search, list(resources.values()), now)
            length, longest = _FIRST_READ_SECONDS, _LONGEST_READ_SECONDS // len(ids)
            for _ in range(_MOST_READS):
                if begin >= until or len(found) >= limit or left <= 0:
                    break
                next_read = min(until, begin + min(length, longest))
                offers = await _offers(
                    reading, resources, [(ids, begin, next_read + sought.duration)], now, duration=sought.duration
                )
                starts, begin = offers.starts(sought, begin, next_read, limit=limit - len(found), decisions=left)
                found += starts
                left, length = left - offers.decisions, length * _MORE
        slots = [Slot(each, each + sought.duration) for each in found]
        return FoundSlots(slots, begin if begin < until and len(found) < limit else None)

    async def check(self, wanted: Sequence[Wanted]) -> Sequence[Refusal | None]:
        """Why each of these times cannot be booked by itself, None where it can; raises ResourceNotFound."""
        ids = list(dict.fromkeys(resource_id for each in wanted for resource_id in each.resource_ids))
        async with self._store.reading() as reading:
            resources = await reading.resources.find_many(ids)
            known(ids, resources)
            spans = [_asked(each, resources) for each in wanted]
            times = [
                (each.resource_ids, span.start, span.end)
                for each, span in zip(wanted, spans, strict=True)
                if isinstance(span, Span)
            ]
            offers = await _offers(reading, resources, times, self._now())
        return [_refusal(offers, each, span) for each, span in zip(wanted, spans, strict=True)]


def _within_reach(search: Search, resources: Sequence[Resource], now: datetime) -> tuple[int, int]:
    """From when on and until when a booking in the window can begin, whatever the year."""
    moment, farthest = int(now.timestamp()), max(each.booking_window_minutes for each in resources)
    return max(search.begin, moment), min(search.end - search.sought.duration, moment + farthest * MINUTE) + 1


async def _offers(
    reading: BookingsReading, resources: Mapping[UUID, Resource], times: Times, now: datetime, *, duration: int = 0
) -> Offers[TakenTime]:
    """`duration` is what each booking lasts at least, in seconds: no shorter gap is of use, and the less is read."""
    shared = {each.number for each in resources.values() if each.capacity > 1}
    taken = await reading.occupancies.find_taken(
        windows_of(times, resources), shared, now, gap_seconds=max(0, duration - 1)
    )
    return Offers({each.id: Calendar(each, taken.get(each.number, ()), now) for each in resources.values()})


def _asked(wanted: Wanted, resources: Mapping[UUID, Resource]) -> Span | Refusal:
    try:
        return span_of(wanted, resources)
    except Refusal as refusal:
        return refusal


def _refusal(offers: Offers[TakenTime], wanted: Wanted, span: Span | Refusal) -> Refusal | None:
    if isinstance(span, Refusal):
        return span
    try:
        offers.chosen(wanted.choices, span.start, span.end, wanted.seats)
    except Refusal as refusal:
        return refusal
    return None

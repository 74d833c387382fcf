from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from uuid import UUID

from server.bookings.rules.asking import Span, Wanted, ids_of, span_of
from server.bookings.rules.availability import Choices, Offers, known
from server.bookings.rules.hours import MINUTE
from server.bookings.rules.placing import Placement
from server.bookings.service.placing import Times, find_taken
from server.frame.errors import Refusal
from storage.bookings.records import Resource
from storage.bookings.store import BookingsReading, BookingsStore

_FIRST_READ_SECONDS, _MORE = 28 * 24 * 60 * MINUTE, 4
"""How much of a window is read at once to begin with, and how many times as much each time after that: a page that
fills soon reads little."""
_MOST_CHECKS = 10_000
"""At once, so that other calls are answered in between; of a resource with many seats, fewer."""
_SEATS_OF_A_CHECK = 20


@dataclass(frozen=True, slots=True)
class Slot:
    """A time that can be booked, in seconds since 1970."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Search:
    """Which times are looked for; a window in seconds since 1970, and what fits into it."""

    choices: Choices
    seats: int
    duration_minutes: int
    begin: int
    end: int


class Availability:
    """When resources are free, decided just as it is when they are booked."""

    def __init__(self, store: BookingsStore, now: Callable[[], datetime]) -> None:
        self._store = store
        self._now = now

    async def find(self, search: Search, limit: int) -> Sequence[Slot]:
        """The first times in a window at which a booking can begin; raises ResourceNotFound."""
        found: list[Slot] = []
        duration = search.duration_minutes * MINUTE
        async with self._store.reading() as reading:
            resources = await reading.resources.find_many(ids_of(search.choices))
            known(ids_of(search.choices), resources)
            now = self._now()
            begin, end = _within_reach(search, list(resources.values()), now)
            length, longest = _FIRST_READ_SECONDS, _longest_read(resources.values())
            while begin + duration <= end and len(found) < limit:
                until = min(end, begin + min(length, longest) + duration)
                offers = await _offers(reading, resources, [(ids_of(search.choices), begin, until)], now)
                starts = offers.starts(search.choices, begin, until, duration, search.seats)
                found += [Slot(each, each + duration) for each in islice(starts, limit - len(found))]
                begin, length = until - duration + 1, length * _MORE
        return found

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
    """The window as far as anything in it can be booked, whatever the year."""
    moment, farthest = int(now.timestamp()), max(each.booking_window_minutes for each in resources)
    reach = moment + (farthest + search.duration_minutes) * MINUTE
    return max(search.begin, moment), min(search.end, reach)


def _longest_read(resources: Collection[Resource]) -> int:
    """How much of a window may be gone through at once, in seconds."""
    step = min(each.slot_step_minutes for each in resources) * MINUTE
    weight = sum(1 + each.capacity // _SEATS_OF_A_CHECK for each in resources)
    return max(1, _MOST_CHECKS // weight) * step


async def _offers(reading: BookingsReading, resources: Mapping[UUID, Resource], times: Times, now: datetime) -> Offers:
    return Placement(resources, await find_taken(reading, resources, times), now).offers


def _asked(wanted: Wanted, resources: Mapping[UUID, Resource]) -> Span | Refusal:
    try:
        return span_of(wanted, resources)
    except Refusal as refusal:
        return refusal


def _refusal(offers: Offers, wanted: Wanted, span: Span | Refusal) -> Refusal | None:
    if isinstance(span, Refusal):
        return span
    try:
        offers.chosen(wanted.choices, span.start, span.end, wanted.seats)
    except Refusal as refusal:
        return refusal
    return None

"""Which place of a resource each booking has: where seats are left but no place is free throughout, bookings trade."""

from collections.abc import Collection, Mapping
from heapq import heappop, heappush
from uuid import UUID

from storage.bookings.records import Busy

Seat = tuple[UUID, int]
"""A booking, and the number of its seat at the resource."""


def seat_of(busy: Busy) -> Seat:
    return (busy.booking_id, busy.seat)


def traded(
    taken: Collection[Busy], wanted: Collection[Busy], capacity: int, begun_before: int
) -> Mapping[Seat, int] | None:
    """The place of each seat, so that those that are wanted have one, too; None where that cannot be.

    Intervals of which no more than so many overlap at any moment can be told apart by so many places (an interval graph
    is perfect), and taking the first free one in order of their beginning does that. What has begun stays where it is.
    """
    places = range(1, max([capacity, *(each.place for each in taken)]) + 1)
    seats: dict[Seat, int] = {}
    ends: list[tuple[int, int]] = []
    held: set[int] = set()
    begun = [each for each in taken if each.occupied_start < begun_before]
    others = [*(each for each in taken if each.occupied_start >= begun_before), *wanted]
    for each in (*begun, *sorted(others, key=lambda busy: busy.occupied_start)):
        while ends and ends[0][0] <= each.occupied_start:
            held.discard(heappop(ends)[1])
        free = each.place if each.place and each.place not in held else _first_free(places, held)
        if free is None:
            return None
        seats[seat_of(each)] = free
        held.add(free)
        heappush(ends, (each.occupied_end, free))
    return seats


def _first_free(places: range, held: set[int]) -> int | None:
    return next((place for place in places if place not in held), None)

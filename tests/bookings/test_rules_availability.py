"""What of a resource is free, beside a slow and plain account of it."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.bookings.errors import AlreadyBooked, BeyondBookingWindow, NoticeTooShort, OffSlotStep, OutsideOpeningHours
from server.bookings.rules.availability import Calendar, Offers, Sought
from server.bookings.rules.placing import Placement
from server.bookings.rules.seating import traded
from server.bookings.rules.taken import Taken
from server.frame.errors import Refusal
from storage.bookings.records import Busy, DayPeriod, TakenTime, WeeklyPeriod
from tests.bookings.values import NOW, busy, resource

_FIRST = int(NOW.timestamp())


def at(minutes: int) -> int:
    return _FIRST + minutes * 60


SPANS = st.tuples(st.integers(0, 40), st.integers(1, 6)).map(lambda each: (each[0] * 15, (each[0] + each[1]) * 15))


@given(spans=st.lists(SPANS, max_size=12), wanted=SPANS)
def test_what_overlaps_is_found_whatever_the_order(spans: Sequence[tuple[int, int]], wanted: tuple[int, int]) -> None:
    """Of what is there at the beginning, and of what is added."""
    all_of_it = [busy(*span, place=place) for place, span in enumerate(spans, start=1)]
    taken = Taken(all_of_it[::2])
    for each in all_of_it[1::2]:
        taken.add(each)
    begin, end = at(wanted[0]), at(wanted[1])
    expected = {each for each in all_of_it if each.occupied_start < end and begin < each.occupied_end}
    assert set(taken.overlapping(begin, end)) == expected
    assert (taken.latest_end(begin, end) is None) == (not expected)


@pytest.mark.parametrize(
    ("begin", "end", "refusal"),
    [
        (600, 660, None),
        (480, 540, NoticeTooShort),
        (30 * 1440 + 600, 30 * 1440 + 660, BeyondBookingWindow),
        (1000, 1060, OutsideOpeningHours),
        (1380, 1500, OutsideOpeningHours),
        (615, 675, OffSlotStep),
        (720, 780, AlreadyBooked),
        (690, 750, AlreadyBooked),
        (780, 840, AlreadyBooked),  # its buffer
        (810, 870, None),
        (660, 720, AlreadyBooked),  # its own buffer
        (630, 690, None),
    ],
)
def test_each_rule_of_a_resource_is_kept(begin: int, end: int, refusal: type[Exception] | None) -> None:
    """Opening hours from 08:00 to 16:00, half an hour of buffer after each booking, notice and a booking window."""
    weekly = tuple(WeeklyPeriod(day, DayPeriod(480, 960)) for day in range(1, 8))
    room = resource(
        opening_hours=weekly,
        buffer_after_minutes=30,
        minimum_notice_minutes=540,
        booking_window_minutes=20 * 1440,
    )
    calendar = Calendar(room, [busy(720, 780, after=30)], NOW)
    assert calendar.refusal(at(begin), at(end), 1) is refusal


def test_a_buffer_blocks_neighbors_though_seats_are_left() -> None:
    """Who has the same time shares it; who comes before or behind keeps both buffers."""
    hall = resource(capacity=10, buffer_before_minutes=15, buffer_after_minutes=15)
    calendar = Calendar(hall, [busy(600, 660, before=15, after=15)], NOW)
    assert calendar.refusal(at(600), at(660), 9) is None
    assert calendar.refusal(at(600), at(660), 10) is AlreadyBooked
    for begin in (630, 660, 540):
        assert calendar.refusal(at(begin), at(begin + 60), 1) is AlreadyBooked
    assert calendar.refusal(at(690), at(750), 10) is None
    assert calendar.refusal(at(510), at(570), 10) is None


def test_leases_that_have_ended_take_nothing() -> None:
    """To the moment; they are told to be ended."""
    ended = busy(600, 660, lease_end=NOW.timestamp())
    room = resource()
    placement = Placement({room.id: room}, [ended], NOW)
    assert placement.offers.calendars[room.id].refusal(at(600), at(660), 1) is None
    assert placement.ended == {ended.booking_id}
    lasting = Placement({room.id: room}, [ended], NOW - timedelta(microseconds=1))
    assert lasting.offers.calendars[room.id].refusal(at(600), at(660), 1) is AlreadyBooked
    assert lasting.ended == set()


@given(spans=st.lists(SPANS, max_size=14), capacity=st.integers(1, 4), wanted=SPANS)
def test_places_are_traded_wherever_seats_are_left(
    spans: Sequence[tuple[int, int]], capacity: int, wanted: tuple[int, int]
) -> None:
    """Bookings get a place each, at random; then one more fits just where no moment is full."""
    taken: list[Busy] = []
    for span in spans:
        new = busy(*span, place=0, booking_id=UUID(int=len(taken) + 1))
        places = {each.place for each in taken if each.start < new.end and new.start < each.end}
        free = [place for place in range(capacity, 0, -1) if place not in places]
        if free:
            taken.append(new._replace(place=free[0]))
    new = busy(*wanted, place=0, booking_id=UUID(int=1000))
    calendar = Calendar(resource(capacity=capacity, slot_step_minutes=15), taken, NOW)
    moments = range(wanted[0], wanted[1], 15)
    room = all(sum(each.start <= at(moment) < each.end for each in taken) < capacity for moment in moments)
    assert (calendar.refusal(new.start, new.end, 1) is None) == room
    if room:
        seats = traded(taken, [new], capacity, 0)
        assert seats is not None
        seated = [each._replace(place=seats[each.booking_id, 1]) for each in (*taken, new)]
        assert all(1 <= each.place <= capacity for each in seated)
        pairs = [(one, other) for one in seated for other in seated if one.booking_id < other.booking_id]
        assert not [pair for pair in pairs if _collide(*pair)]


def _collide(one: Busy, other: Busy) -> bool:
    return one.place == other.place and one.start < other.end and other.start < one.end


ROOMS = st.fixed_dictionaries(
    {
        "slot_step_minutes": st.sampled_from([15, 20, 45]),
        "buffer_before_minutes": st.sampled_from([0, 10, 15]),
        "buffer_after_minutes": st.sampled_from([0, 10, 30]),
        "capacity": st.sampled_from([1, 1, 2, 3]),
        "opening_hours": st.sampled_from([[(0, 1440)], [(120, 500)], [(60, 300), (300, 1440)]]).map(
            lambda hours: tuple(WeeklyPeriod(day, DayPeriod(*each)) for day in range(1, 8) for each in hours)
        ),
    }
)


@given(
    rooms=st.lists(st.tuples(ROOMS, st.lists(SPANS, max_size=8), st.booleans()), min_size=1, max_size=3),
    minutes=st.sampled_from([15, 30, 50, 1500]),
    seats=st.integers(1, 2),
    limit=st.integers(1, 30),
    decisions=st.integers(1, 40),
)
def test_what_is_offered_is_what_would_be_booked(
    rooms: Sequence[tuple[Any, Sequence[tuple[int, int]], bool]], minutes: int, seats: int, limit: int, decisions: int
) -> None:
    """At every minute of a day, at both edges of the window, of one resource, of each of several and of any of them.

    However often the search ends early and goes on from there.
    """
    calendars, choices = {}, list[list[UUID]]()
    for number, (values, spans, beside) in enumerate(rooms, start=1):
        room = resource(id=UUID(int=number), number=number, **values)
        buffers = {"before": room.buffer_before_minutes, "after": room.buffer_after_minutes}
        calendars[room.id] = Calendar(room, [busy(*span, **buffers) for span in spans], NOW)
        if beside and choices:
            choices[-1].append(room.id)
        else:
            choices.append([room.id])
    offers, begin, until = Offers(calendars), at(60), at(720)
    offered: list[int] = []
    position = begin
    while position < until:
        sought = Sought(choices, minutes * 60, seats)
        found, position = offers.starts(sought, position, until, limit=limit, decisions=decisions)
        assert len(found) <= limit
        offered += found
    assert offered == [
        moment for moment in range(begin, until, 60) if bookable(offers, choices, moment, minutes, seats)
    ]


def bookable(offers: Offers[Busy], choices: Sequence[Sequence[UUID]], moment: int, minutes: int, seats: int) -> bool:
    try:
        offers.chosen(choices, moment, moment + minutes * 60, seats)
    except Refusal:
        return False
    return True


@given(
    room=ROOMS, spans=st.lists(SPANS, max_size=8), minutes=st.sampled_from([15, 30, 50, 1500]), seats=st.integers(1, 3)
)
def test_nothing_that_could_be_booked_is_passed_over(
    room: Any, spans: Sequence[tuple[int, int]], minutes: int, seats: int
) -> None:
    """Between a start that is refused and the next one that is said to be possible, whatever it is refused for."""
    taken = [busy(*span, before=room["buffer_before_minutes"], after=room["buffer_after_minutes"]) for span in spans]
    calendar = Calendar(resource(**room), taken, NOW)
    moment = at(0)
    while moment < at(720):
        refusal, possible = calendar.decide(moment, moment + minutes * 60, seats)
        assert (possible == moment) == (refusal is None)
        following = max(moment + 60, possible)
        for between in range(moment + 60, min(following, at(720)), 60):
            assert calendar.refusal(between, between + minutes * 60, seats) is not None
        moment = following


def test_what_a_search_costs_grows_with_what_is_found_and_taken() -> None:
    """A year of which all is taken takes a few decisions, however many times there are to begin at."""
    year = 366 * 1440
    room = resource(slot_step_minutes=1, booking_window_minutes=year)
    offers = Offers({room.id: Calendar(room, [TakenTime(at(0), at(year), at(0), at(year), 1)], NOW)})
    found, position = offers.starts(Sought([[room.id]], 60, 1), at(0), at(year), limit=1, decisions=20)
    assert ([*found], position) == ([], at(year))
    half = [TakenTime(at(each), at(each + 1), at(each), at(each + 1), 1) for each in range(0, 10_000, 2)]
    offers = Offers({room.id: Calendar(room, half, NOW)})
    found, _ = offers.starts(Sought([[room.id]], 60, 1), at(0), at(10_000), limit=10_000, decisions=20_000)
    assert len(found) == 5_000
    assert offers.decisions <= 15_000

"""What is taken is found by an index, and nobody can write what overlaps."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from sqlalchemy.dialects import postgresql

from storage.base import json_parameter
from storage.bookings.records import Booking, BookingState, BusyWindow, Occupancy, Resource
from storage.bookings.repository.bookings import LIST_ACTIVE
from storage.bookings.repository.occupancies import FIND_BUSY, FIND_TAKEN, FIND_TAKEN_PLACES
from storage.bookings.store import BOOKINGS
from storage.database import Database
from storage.errors import AlreadyExists
from tests.bookings.values import NOW, resource

_HOUR = timedelta(hours=1)
_HOURS = 5_000
_BOOKED_AT_ONCE = 250


async def kept(database: Database, **rest: Any) -> Resource:
    async with database.store(BOOKINGS).transaction() as tx:
        made = resource(id=uuid4(), **rest)
        number = await tx.resources.add(made)
    return resource(id=made.id, number=number, **rest)


def pair(room: Resource, begin: datetime, place: int = 1) -> tuple[Booking, Occupancy]:
    booking_id, end = uuid4(), begin + _HOUR
    confirmed = Booking(
        id=booking_id,
        series_id=None,
        customer_id="17850",
        booked_by=uuid4(),
        state=BookingState.CONFIRMED,
        resource_ids=(room.id,),
        seats=1,
        title="",
        local_start=begin.replace(tzinfo=None),
        local_second=False,
        time_zone="UTC",
        start_time=begin,
        end_time=end,
        lease_end_time=None,
        cancel_reason="",
        version=1,
        create_time=NOW,
        update_time=NOW,
    )
    return confirmed, Occupancy(booking_id, room.id, 1, room.number, place, begin, end, begin, end, None)


async def book(database: Database, *pairs: tuple[Booking, Occupancy]) -> None:
    """Some at a time, so that no statement runs into its time limit on a busy machine."""
    for place in range(0, len(pairs), _BOOKED_AT_ONCE):
        some = pairs[place : place + _BOOKED_AT_ONCE]
        async with database.store(BOOKINGS).transaction() as tx:
            await tx.bookings.add([booking for booking, _ in some], [occupancy for _, occupancy in some])


async def test_nobody_can_write_what_overlaps(database: Database) -> None:
    """Whoever forgets to look is told by the database; other places and other rooms are free."""
    room, other = await kept(database, capacity=2), await kept(database)
    await book(database, pair(room, NOW))
    with pytest.raises(AlreadyExists) as raised:
        await book(database, pair(room, NOW + _HOUR / 2))
    assert raised.value.constraint == "ex_occupancies_no_overlap"
    await book(database, pair(room, NOW + _HOUR / 2, place=2), pair(other, NOW), pair(room, NOW + _HOUR))


async def test_one_statement_has_bookings_trade_places(database: Database) -> None:
    room = await kept(database, capacity=2)
    one, other = pair(room, NOW, place=1), pair(room, NOW, place=2)
    await book(database, one, other)
    swapped = [
        Occupancy(
            each.booking_id,
            room.id,
            1,
            room.number,
            3 - each.place,
            each.start_time,
            each.end_time,
            each.occupied_start,
            each.occupied_end,
            None,
        )
        for _, each in (one, other)
    ]
    async with database.store(BOOKINGS).transaction() as tx:
        await tx.occupancies.move(swapped)
        found = await tx.occupancies.find_busy([BusyWindow(room.number, NOW, NOW + _HOUR)])
    assert {each.booking_id: each.place for each in found} == {each.booking_id: each.place for each in swapped}


async def test_what_is_taken_is_found_by_an_index(database: Database, database_url: str) -> None:
    """Of one room among others, with 5,000 bookings: what is read grows with what is taken in the window alone.

    So does what a calendar shows.
    """
    room, other = await kept(database), await kept(database)
    times = [NOW + place * _HOUR for place in range(_HOURS)]
    await book(database, *(pair(room, begin) for begin in times))
    await book(database, *(pair(other, begin) for begin in times[:1200]))
    week = BusyWindow(room.number, NOW + 1000 * _HOUR, NOW + 1168 * _HOUR)
    async with database.store(BOOKINGS).reading() as reading:
        found = await reading.occupancies.find_busy([week])
    assert len(found) == 168
    assert min(each.start for each in found) == int((NOW + 1000 * _HOUR).timestamp())
    for statement in (FIND_BUSY, FIND_TAKEN, FIND_TAKEN_PLACES):
        text = plan(database_url, statement, now=NOW, gap=0, **in_window(week))
        assert "Index Scan using ex_occupancies_no_overlap" in text
        assert "Seq Scan" not in text
        assert "rows=168" in text
        assert "Rows Removed by Filter" not in text
    day = {"resource": room.id, "now": NOW, "first": NOW, "last": NOW + 24 * _HOUR, "most": 2000}
    text = plan(database_url, LIST_ACTIVE, **day)
    assert "on ix_occupancies_by_resource" in text or "using ix_occupancies_by_resource" in text
    assert "Index Scan using pk_bookings" in text
    assert "Seq Scan" not in text
    assert "rows=24" in text


def in_window(window: BusyWindow) -> dict[str, str]:
    values = [(window.resource_number, window.start_time, window.end_time)]
    return json_parameter(("resource_number", "start_time", "end_time"), values)


def plan(database_url: str, statement: Any, **values: Any) -> str:
    """How PostgreSQL carries out a statement with these values."""
    compiled = statement.params(values).compile(
        dialect=postgresql.dialect(),  # type: ignore[no-untyped-call]
        compile_kwargs={"literal_binds": True},
    )
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("ANALYZE bookings.occupancies, bookings.bookings")
        found = connection.execute(f"EXPLAIN (ANALYZE, BUFFERS OFF) {compiled}".encode()).fetchall()
    return "\n".join(str(line) for (line,) in found)


async def test_a_search_reads_what_is_taken_joined(database: Database) -> None:
    """Of a room, times that touch are one; of a hall, places that are taken for the same time are counted.

    A lease that has ended takes nothing, and what reaches into two windows counts once.
    """
    room, hall = await kept(database), await kept(database, capacity=3)
    rooms = [pair(room, NOW + place * _HOUR) for place in (0, 1, 3)]
    halls = [pair(hall, NOW + begin * _HOUR, place) for begin, place in ((0, 1), (0, 2), (0.5, 3))]
    await book(database, *rooms, *halls)
    await book(database, leased(pair(room, NOW + 5 * _HOUR), NOW), leased(pair(room, NOW + 7 * _HOUR), NOW + _HOUR))
    windows = [
        BusyWindow(each.number, NOW + begin * _HOUR, NOW + (begin + 10) * _HOUR)
        for each in (room, hall)
        for begin in (-9.5, 0.6)
    ]
    async with database.store(BOOKINGS).reading() as reading:
        taken = await reading.occupancies.find_taken(windows, {hall.number}, NOW)
        joined = await reading.occupancies.find_taken(windows[1:2], {hall.number}, NOW, gap_seconds=3600)
    first = int(NOW.timestamp())
    hours = {
        number: sorted(((each.start - first) / 3600, (each.end - first) / 3600, each.places) for each in times)
        for number, times in taken.items()
    }
    assert {*hours[room.number]} == {(0, 1, 1), (0, 2, 1), (3, 4, 1), (7, 8, 1)}
    assert [((each.start - first) / 3600, (each.end - first) / 3600) for each in joined[room.number]] == [
        (0, 4),
        (7, 8),
    ]
    assert hours[hall.number] == [(0, 1, 2), (0.5, 1.5, 1)]


def leased(made: tuple[Booking, Occupancy], until: datetime) -> tuple[Booking, Occupancy]:
    booking, occupancy = made
    pending = replace(booking, state=BookingState.PENDING, lease_end_time=until)
    return pending, replace(occupancy, lease_end_time=until)


async def test_many_windows_are_read_at_once(database: Database) -> None:
    """What reaches into two of them is found once."""
    room = await kept(database)
    taken = pair(room, datetime(2026, 3, 1, tzinfo=UTC))
    await book(database, taken)
    begin = taken[0].start_time
    windows = [
        BusyWindow(room.number, begin - _HOUR, begin + _HOUR / 4),
        BusyWindow(room.number, begin + _HOUR / 2, begin + 2 * _HOUR),
        BusyWindow(room.number, begin + _HOUR, begin + 2 * _HOUR),
    ]
    async with database.store(BOOKINGS).reading() as reading:
        found = await reading.occupancies.find_busy(windows)
    assert [each.booking_id for each in found] == [taken[0].id]

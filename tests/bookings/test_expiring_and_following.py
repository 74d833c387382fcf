"""What becomes of bookings by themselves: leases end, and local times stay."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
import structlog
from uuid_utils.compat import uuid7

from server.bookings.errors import AlreadyBooked, LeaseExpired
from server.bookings.rules.asking import MakeBooking, Start, Wanted
from server.bookings.rules.placing import Terms
from server.bookings.service import Changing, FollowingZones, Making
from server.frame.caller import Caller
from storage.bookings.records import Booking, BookingState, Resource
from storage.bookings.store import BOOKINGS
from storage.database import Database
from storage.frame.records import ChangeContext
from tests.bookings.playing import broken_laws
from tests.bookings.test_repository_occupancies import kept
from tests.fixtures.servers import keep_in

_STAFF = Caller(uuid4(), frozenset({"bookings.hold_more", "bookings.read_all"}))


class Clock:
    """The server's time, as a test has it."""

    def __init__(self) -> None:
        self.time = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)

    def now(self) -> datetime:
        return self.time


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def making(database: Database, clock: Clock) -> Making:
    return Making(database.store(BOOKINGS), clock.now, uuid7, Terms())


@pytest.fixture
def changing(database: Database, clock: Clock) -> Changing:
    return Changing(database.store(BOOKINGS), clock.now)


def request(
    room: Resource, clock: Clock, start: Start, *, lease: timedelta | None = None, zone: str = ""
) -> MakeBooking:
    wanted = Wanted(((room.id,),), start, 60, zone, 1)
    context = ChangeContext(_STAFF.account_id, "test", clock.now())
    return MakeBooking(_STAFF, context, uuid7(), wanted, None, "", lease)


async def stored(database: Database, booking_id: UUID) -> Booking:
    async with database.store(BOOKINGS).reading() as reading:
        found = await reading.bookings.find(booking_id)
    assert found is not None
    return found


async def booked(making: Making, asked: MakeBooking) -> Booking:
    (booking,) = await making.book([asked])
    assert isinstance(booking, Booking), booking
    return booking


async def test_the_time_of_a_lease_is_free_the_moment_it_ends(
    database: Database, database_url: str, clock: Clock, making: Making, changing: Changing
) -> None:
    """Also where no job has ended it yet: who books then ends it, and who confirms then is told so."""
    room = await kept(database)
    later = Start(time=clock.time + timedelta(days=1))
    leased = await booked(making, request(room, clock, later, lease=timedelta(minutes=5)))
    clock.time += timedelta(minutes=5) - timedelta(microseconds=1)
    (refused,) = await making.book([request(room, clock, later)])
    assert isinstance(refused, AlreadyBooked)
    clock.time += timedelta(microseconds=1)
    context = ChangeContext(_STAFF.account_id, "test", clock.now())
    with pytest.raises(LeaseExpired):
        await changing.confirm(_STAFF, leased.id, context)
    await booked(making, request(room, clock, later))
    assert (await stored(database, leased.id)).state is BookingState.EXPIRED
    assert broken_laws(database_url) == {}


async def test_a_job_ends_leases_that_nobody_confirms(
    database: Database, database_url: str, clock: Clock, making: Making, changing: Changing
) -> None:
    """Each once, with an event and an entry in the record; those that last are left alone."""
    room = await kept(database)
    day = timedelta(days=1)
    short = await booked(making, request(room, clock, Start(time=clock.time + day), lease=timedelta(minutes=5)))
    long = await booked(making, request(room, clock, Start(time=clock.time + 2 * day), lease=timedelta(hours=5)))
    assert await changing.expire_due() == 0
    clock.time += timedelta(minutes=6)
    assert await changing.expire_due() == 1
    assert await changing.expire_due() == 0
    states = [(await stored(database, each.id)).state for each in (short, long)]
    assert states == [BookingState.EXPIRED, BookingState.PENDING]
    assert told(database_url) == ["booking.made", "booking.made", "booking.expired"]
    assert {law: rows for law, rows in broken_laws(database_url).items() if "lease" not in law} == {}


def told(database_url: str) -> Sequence[str]:
    with psycopg.connect(database_url) as connection:
        return [str(row[0]) for row in connection.execute("SELECT type FROM frame.events ORDER BY sequence")]


async def test_bookings_keep_their_local_time_where_the_rules_of_a_zone_change(
    database: Database, database_url: str, clock: Clock, making: Making
) -> None:
    """Those that follow each other move together; what is kept in another zone, and in the way, stays and is told."""
    lines: list[dict[str, Any]] = []
    logger = structlog.wrap_logger(None, processors=[keep_in(lines)])
    room = await kept(database, time_zone="Europe/Berlin")
    day = (clock.time + timedelta(days=10)).date()
    made = [
        await booked(making, request(room, clock, Start(local=datetime(day.year, day.month, day.day, hour))))
        for hour in (9, 10, 12)
    ]
    _as_by_other_rules(database_url, made)
    following = FollowingZones(database.store(BOOKINGS), clock.now, logger)
    assert await following.follow() == 3
    for before in made:
        after = await stored(database, before.id)
        assert (after.start_time, after.end_time, after.local_start) == (
            before.start_time,
            before.end_time,
            before.local_start,
        )
        assert after.version == before.version + 1
    assert await following.follow() == 0
    assert told(database_url)[-1] == "booking.rescheduled"
    assert broken_laws(database_url) == {}

    _as_by_other_rules(database_url, made[2:])
    in_the_way = Start(time=made[2].start_time)
    await booked(making, request(room, clock, in_the_way, zone="Asia/Kathmandu"))
    assert await following.follow() == 0
    assert [(line["event"], line["booking_id"]) for line in lines] == [("booking_in_the_way", str(made[2].id))]
    assert broken_laws(database_url) == {}


def _as_by_other_rules(database_url: str, bookings: Sequence[Booking]) -> None:
    """Has bookings begin an hour later, as had the rules of their zone been others when they were made."""
    ids = [booking.id for booking in bookings]
    with psycopg.connect(database_url) as connection:
        connection.execute(
            "UPDATE bookings.bookings SET start_time = start_time + interval '1 hour',"
            " end_time = end_time + interval '1 hour' WHERE id = ANY (%s)",
            [ids],
        )
        connection.execute(
            "UPDATE bookings.occupancies SET start_time = start_time + interval '1 hour',"
            " end_time = end_time + interval '1 hour', occupied ="
            " tstzrange(lower(occupied) + interval '1 hour', upper(occupied) + interval '1 hour')"
            " WHERE booking_id = ANY (%s)",
            [ids],
        )

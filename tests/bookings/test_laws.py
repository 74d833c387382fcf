"""`backroom verify` on bookings: each planted damage is found by the law that it breaks."""

from collections.abc import Sequence

from tests.bookings.calling import ahead, ask, booked, made
from tests.cli.test_verify import broken_by
from tests.fixtures.servers import Api, Running
from tests.invariants import broken

UNCHECKED = "ALTER TABLE bookings.occupancies DROP CONSTRAINT ex_occupancies_no_overlap"
FIRST = "(SELECT min(id::text)::uuid FROM bookings.bookings)"
DAMAGES: Sequence[tuple[str, str, str]] = (
    ("two that have one place", "I9", f"{UNCHECKED}; UPDATE bookings.occupancies SET place = 1"),
    (
        "a buffer that reaches into a neighbor at another place",
        "I9",
        """
        UPDATE bookings.occupancies SET occupied = tstzrange(lower(occupied), upper(occupied) + interval '3 hours')
        WHERE place = 2
        """,
    ),
    ("a place lost", "I18", "DELETE FROM bookings.occupancies WHERE place = 2"),
    ("a place too many", "I18", "UPDATE bookings.bookings SET seats = 1 WHERE seats = 2"),
    ("a place given back", "I18", f"UPDATE bookings.occupancies SET active = false WHERE booking_id = {FIRST}"),
    ("a place that a canceled booking keeps", "I18", "UPDATE bookings.bookings SET state = 'canceled'"),
    (
        "a place for another time",
        "I18",
        "UPDATE bookings.occupancies SET start_time = start_time + interval '1 minute'",
    ),
    (
        "a place of another resource",
        "I18",
        "UPDATE bookings.bookings SET resource_ids = ARRAY[(SELECT id FROM bookings.resources WHERE name = 'Other')]",
    ),
    ("a place without the booking's lease", "I18", "UPDATE bookings.occupancies SET lease_end_time = NULL"),
    (
        "a lease past its end",
        "I19",
        "UPDATE bookings.bookings SET lease_end_time = now() - interval '6 seconds' WHERE state = 'pending'",
    ),
    (
        "a booking that nobody was told of",
        "I20",
        "DELETE FROM frame.events WHERE sequence = (SELECT max(sequence) FROM frame.events)",
    ),
    (
        "a booking that was told of twice",
        "I20",
        f"UPDATE frame.events SET subject_id = {FIRST} WHERE type = 'booking.made'",
    ),
)


async def test_each_planted_damage_is_found(server: Running, service: Api) -> None:
    """By the law that it breaks; bookings as the service leaves them break none."""
    hall = await made(service, capacity=3)
    await made(service, name="Other")
    await booked(service, hall, at=ahead(hour=9))
    await booked(service, hall, at=ahead(hour=9), seats=2)
    await booked(service, hall, at=ahead(hour=11))
    await service.bookings.Book(ask(hall, at=ahead(hour=13), lease_seconds=600))
    assert await broken(server.database) == {}
    missed = []
    for damage, law, statements in DAMAGES:
        found = await broken_by(server.database, statements.split(";"))
        if law not in found:
            missed.append((damage, law, found))
    assert not missed
    assert await broken(server.database) == {}

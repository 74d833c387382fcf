"""What bookings reaches of what is kept: its own repositories, and the frame's."""

from typing import TypeAlias

from storage.bookings.repository import (
    BookingChangeReader,
    BookingReader,
    BookingRepository,
    OccupancyReader,
    OccupancyRepository,
    ResourceReader,
    ResourceRepository,
)
from storage.store import Store, StoreKind
from storage.transaction import Reading, Transaction, on_connection


class BookingsReading(Reading):
    """What can be read of bookings."""

    booking_changes = on_connection(BookingChangeReader)
    bookings = on_connection(BookingReader)
    occupancies = on_connection(OccupancyReader)
    resources = on_connection(ResourceReader)


class BookingsTransaction(BookingsReading, Transaction):
    """What can be read and changed of bookings, all of it or nothing."""

    bookings = on_connection(BookingRepository)
    occupancies = on_connection(OccupancyRepository)
    resources = on_connection(ResourceRepository)


BOOKINGS = StoreKind(BookingsReading, BookingsTransaction)
BookingsStore: TypeAlias = Store[BookingsReading, BookingsTransaction]

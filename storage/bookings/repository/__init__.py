"""The only code that touches the tables of bookings."""

from storage.bookings.repository.bookings import BookingReader, BookingRepository
from storage.bookings.repository.changes import BookingChangeReader
from storage.bookings.repository.occupancies import OccupancyReader, OccupancyRepository
from storage.bookings.repository.resources import ResourceReader, ResourceRepository

__all__ = [
    "BookingChangeReader",
    "BookingReader",
    "BookingRepository",
    "OccupancyReader",
    "OccupancyRepository",
    "ResourceReader",
    "ResourceRepository",
]

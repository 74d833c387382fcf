"""The answers of bookings that are kept for repeated requests."""

from dataclasses import dataclass
from uuid import UUID

from server.bookings.rules.calendars import CalendarLink
from server.bookings.rules.placing import Skipped
from server.frame.answers import AnswerKind
from storage.bookings.records import Booking, Resource


@dataclass(frozen=True, slots=True)
class BookedSeries:
    """What became of a request to book a series."""

    series_id: UUID
    bookings: tuple[Booking, ...]
    skipped: tuple[Skipped, ...]


@dataclass(frozen=True, slots=True)
class ChangedBookings:
    """The bookings of a series that were changed together."""

    bookings: tuple[Booking, ...]


RESOURCE = AnswerKind("bookings.resource", Resource)
BOOKING = AnswerKind("bookings.booking", Booking)
"""The whole booking, since it may be moved later."""
BOOKED_SERIES = AnswerKind("bookings.booked_series", BookedSeries)
CHANGED_BOOKINGS = AnswerKind("bookings.changed_bookings", ChangedBookings)
CALENDAR_LINK = AnswerKind("bookings.calendar_link", CalendarLink)
"""What the link permits, and not its signature."""

"""What a link to a resource's calendar permits, and what the calendar shows."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

from server.frame.calendar_feed import CalendarEvent, EventState
from server.frame.caller import Caller
from server.frame.errors import PermissionMissing
from storage.bookings.records import Booking, BookingState

SHARE, SEE_DETAILS = "bookings.share_calendar", "bookings.read_all"
"""The permissions of the account behind a link."""
VALID_DAYS = 366
"""For how long a link holds good that does not say otherwise."""
PAST, AHEAD = timedelta(days=31), timedelta(days=366)
"""What of the bookings a calendar shows."""
MAX_EVENTS = 2000


@dataclass(frozen=True, slots=True)
class CalendarLink:
    """What a link permits: to read the calendar of one resource."""

    resource_id: UUID
    account_id: UUID
    """By whose rights it is read, as they are then."""
    details: bool
    """Whether it tells what bookings are for, and whose they are."""
    version: int
    """The resource's link_version when it was made."""
    until: int
    """In seconds since 1970."""


def check_may_link(caller: Caller, *, details: bool) -> None:
    """Raises PermissionMissing."""
    if details and not caller.may(SEE_DETAILS):
        raise PermissionMissing(permission=SEE_DETAILS)


def holds_good(link: CalendarLink, link_version: int, permissions: frozenset[str] | None, now: datetime) -> bool:
    """Whether a link may be used, by what its account may do now; None where that is disabled or gone."""
    if permissions is None or SHARE not in permissions or (link.details and SEE_DETAILS not in permissions):
        return False
    return link.version == link_version and now.timestamp() < link.until


def events_of(bookings: Sequence[Booking], *, details: bool) -> Sequence[CalendarEvent]:
    """Bookings as a calendar shows them; without details, only when they are."""
    return [_event(booking, details=details) for booking in bookings]


def _event(booking: Booking, *, details: bool) -> CalendarEvent:
    local_start, zone = booking.local_start, booking.time_zone
    if booking.local_second:  # iCalendar takes a local time that comes twice for the first one
        local_start, zone = booking.start_time.astimezone(UTC).replace(tzinfo=None), "UTC"
    told = f"Customer: {booking.customer_id}\nSeats: {booking.seats}" if details else ""
    return CalendarEvent(
        uid=f"{booking.id}@backroom",
        local_start=local_start,
        time_zone=zone,
        duration=booking.end_time - booking.start_time,
        update_time=booking.update_time,
        summary=(booking.title if details else "") or "Booked",
        description=told,
        state=EventState.TENTATIVE if booking.state is BookingState.PENDING else EventState.CONFIRMED,
    )

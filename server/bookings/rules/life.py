"""A booking's life: who may see it, and what may become of it."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from server.bookings.errors import (
    BookingNotFound,
    BookingStateConflict,
    CustomerNotPermitted,
    CutoffPassed,
    LeaseExpired,
    SeriesNotFound,
)
from server.frame.caller import Caller
from server.frame.editing import changed
from storage.bookings.records import ACTIVE, Booking, BookingAudience, BookingState, Resource


def visible(booking: Booking | None, caller: Caller, booking_id: UUID) -> Booking:
    """The booking; raises BookingNotFound where there is none, and just so where the caller may not see it."""
    if booking is None or not may_see(booking, caller):
        raise BookingNotFound(booking_id=str(booking_id))
    return booking


def visible_series(bookings: Sequence[Booking], caller: Caller, series_id: UUID) -> Sequence[Booking]:
    """The bookings of a series that the caller may see; raises SeriesNotFound where those are none."""
    found = [booking for booking in bookings if may_see(booking, caller)]
    if not found:
        raise SeriesNotFound(series_id=str(series_id))
    return found


def may_see(booking: Booking, caller: Caller) -> bool:
    """A customer its own; what it made for others, an account that may do so now; all, who may read all."""
    if booking.customer_id == str(caller.account_id) or caller.may("bookings.read_all"):
        return True
    return booking.booked_by == caller.account_id and caller.may("bookings.book_for")


def customer_to_list(wanted: str | None, caller: Caller) -> str | None:
    """Whose bookings a list may show, None being everybody's; raises CustomerNotPermitted."""
    if caller.may("bookings.read_all"):
        return wanted
    if wanted is not None and wanted != str(caller.account_id):
        raise CustomerNotPermitted(permission="bookings.read_all")
    return str(caller.account_id)


def audience_of(customer_id: str | None, resource_id: UUID | None, caller: Caller) -> BookingAudience:
    """Which bookings a caller gets who requests one customer's, or all; raises CustomerNotPermitted."""
    if customer_id is None and caller.may("bookings.book_for") and not caller.may("bookings.read_all"):
        return BookingAudience(account_id=caller.account_id, resource_id=resource_id)
    return BookingAudience(customer_id=customer_to_list(customer_id, caller), resource_id=resource_id)


def concerns(booking: Booking, audience: BookingAudience) -> bool:
    """Whether an audience gets a booking."""
    if audience.customer_id is not None and booking.customer_id != audience.customer_id:
        return False
    if audience.resource_id is not None and audience.resource_id not in booking.resource_ids:
        return False
    mine = audience.account_id
    return mine is None or booking.customer_id == str(mine) or booking.booked_by == mine


def confirmed(booking: Booking, now: datetime) -> Booking:
    """Raises LeaseExpired, BookingStateConflict."""
    check_active(booking, now, BookingState.PENDING)
    return changed(booking, {"state": BookingState.CONFIRMED, "lease_end_time": None}, now)


def canceled(booking: Booking, reason: str, now: datetime) -> Booking:
    """The booking once it is canceled, which `check_changeable` has allowed."""
    values = {"state": BookingState.CANCELED, "lease_end_time": None, "cancel_reason": reason}
    return changed(booking, values, now)


def is_due(booking: Booking, now: datetime) -> bool:
    """Whether a lease has ended, and the booking has not."""
    return (
        booking.state is BookingState.PENDING and booking.lease_end_time is not None and booking.lease_end_time <= now
    )


def expired(booking: Booking, now: datetime) -> Booking:
    return changed(booking, {"state": BookingState.EXPIRED}, now)


def check_changeable(booking: Booking, resources: Sequence[Resource], caller: Caller, now: datetime) -> None:
    """Raises LeaseExpired, BookingStateConflict or CutoffPassed where a caller may neither move nor cancel a booking.

    Of several resources, the longest cut-off counts.
    """
    check_active(booking, now, *ACTIVE)
    cutoff = timedelta(minutes=max(resource.cancel_cutoff_minutes for resource in resources))
    if booking.start_time - cutoff <= now and not caller.may("bookings.ignore_cutoff"):
        raise CutoffPassed(permission="bookings.ignore_cutoff")


def check_active(booking: Booking, now: datetime, *needed: BookingState) -> None:
    """Raises LeaseExpired, BookingStateConflict where the booking is in none of these states."""
    if booking.state is BookingState.EXPIRED or is_due(booking, now):
        raise LeaseExpired
    if booking.state not in needed:
        raise BookingStateConflict(state=booking.state.name, needed=" or ".join(sorted(each.name for each in needed)))

"""Why bookings refuses."""

from server.frame.errors import Code, Refusal


class ResourceNotFound(Refusal):
    """No resource has the id {resource_id}."""

    code = Code.NOT_FOUND


class BookingNotFound(Refusal):
    """No booking that you can see has the id {booking_id}."""

    code = Code.NOT_FOUND


class SeriesNotFound(Refusal):
    """No series that you can see has the id {series_id}."""

    code = Code.NOT_FOUND


class ResourceArchived(Refusal):
    """The resource {resource_id} is archived and takes no more bookings."""

    code = Code.FAILED_PRECONDITION


class TooManySeats(Refusal):
    """The resource {resource_id} has fewer seats than the booking asks for."""

    code = Code.FAILED_PRECONDITION


class NoticeTooShort(Refusal):
    """The booking would begin sooner than the resource {resource_id} allows."""

    code = Code.FAILED_PRECONDITION


class BeyondBookingWindow(Refusal):
    """The booking would begin later than the resource {resource_id} can be booked ahead."""

    code = Code.FAILED_PRECONDITION


class OutsideOpeningHours(Refusal):
    """The resource {resource_id} is not open for the whole of this time."""

    code = Code.FAILED_PRECONDITION


class OffSlotStep(Refusal):
    """Bookings of the resource {resource_id} begin at its steps, and this time lies between two of them."""

    code = Code.FAILED_PRECONDITION


class AlreadyBooked(Refusal):
    """Another booking takes this time of the resource {resource_id}, or needs it as a buffer."""

    code = Code.FAILED_PRECONDITION


class NothingFits(Refusal):
    """The series cannot be booked as requested."""

    code = Code.FAILED_PRECONDITION


class BookingStateConflict(Refusal):
    """The booking is {state}, and this call needs it to be {needed}."""

    code = Code.FAILED_PRECONDITION


class LeaseExpired(Refusal):
    """The lease of the booking has ended, and its time is free for others: book again."""

    code = Code.FAILED_PRECONDITION


class CutoffPassed(Refusal):
    """The booking begins too soon to be changed without the permission {permission}."""

    code = Code.FAILED_PRECONDITION


class CustomerNotPermitted(Refusal):
    """A customer_id other than your own needs the permission {permission}."""

    code = Code.PERMISSION_DENIED


class LeaseTooLong(Refusal):
    """A lease of more than {longest_seconds} s needs the permission {permission}."""

    code = Code.PERMISSION_DENIED


class TooManyBookingsAhead(Refusal):
    """The customer would have {bookings} bookings ahead, and the limit is {most}."""

    code = Code.FAILED_PRECONDITION

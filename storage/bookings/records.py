from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import NamedTuple
from uuid import UUID


class BookingState(StrEnum):
    PENDING = "pending"
    CONFIRMED = "confirmed"
    CANCELED = "canceled"
    EXPIRED = "expired"


ACTIVE = frozenset({BookingState.PENDING, BookingState.CONFIRMED})
"""The states in which a booking takes its time."""


@dataclass(frozen=True, slots=True)
class DayPeriod:
    """A period of a day, in minutes of local time from midnight on."""

    opens: int
    closes: int
    """Up to 1440."""


@dataclass(frozen=True, slots=True)
class WeeklyPeriod:
    """A period of each week."""

    weekday: int
    """From 1, a Monday, to 7."""
    period: DayPeriod


@dataclass(frozen=True, slots=True)
class DayHours:
    """The opening hours of one day."""

    date: date
    periods: tuple[DayPeriod, ...]


@dataclass(frozen=True, slots=True)
class Holiday:
    year: int
    """0 means each year."""
    month: int
    day: int
    name: str


@dataclass(frozen=True, slots=True)
class Resource:
    id: UUID
    number: int
    """By which the database knows it; 0 until it is stored."""
    name: str
    time_zone: str
    opening_hours: tuple[WeeklyPeriod, ...]
    exceptions: tuple[DayHours, ...]
    holidays: tuple[Holiday, ...]
    capacity: int
    buffer_before_minutes: int
    buffer_after_minutes: int
    minimum_notice_minutes: int
    booking_window_minutes: int
    slot_step_minutes: int
    cancel_cutoff_minutes: int
    archived: bool
    version: int
    """Counts the changes from 1 on."""
    create_time: datetime
    update_time: datetime
    choose_time: datetime | None = None
    """When it was last chosen where others would have done as well; None means never."""
    link_version: int = 1
    """The links to its calendar that hold good are of this version."""


@dataclass(frozen=True, slots=True)
class Booking:
    id: UUID
    series_id: UUID | None
    customer_id: str
    booked_by: UUID
    state: BookingState
    resource_ids: tuple[UUID, ...]
    seats: int
    title: str
    local_start: datetime
    """What the clocks of its zone show when it begins, without tzinfo."""
    local_second: bool
    """Whether they show that twice, and it is the second time."""
    time_zone: str
    start_time: datetime
    end_time: datetime
    lease_end_time: datetime | None
    """Kept once it has expired; None of what was confirmed."""
    cancel_reason: str
    version: int
    """Counts the changes from 1 on."""
    create_time: datetime
    update_time: datetime


@dataclass(frozen=True, slots=True)
class Occupancy:
    """A seat of a booking at one resource, and the place that it has there."""

    booking_id: UUID
    resource_id: UUID
    seat: int
    resource_number: int
    place: int
    start_time: datetime
    end_time: datetime
    occupied_start: datetime
    """With the buffer before."""
    occupied_end: datetime
    """With the buffer after."""
    lease_end_time: datetime | None


@dataclass(frozen=True, slots=True)
class BusyWindow:
    """Where to look for what a resource is taken by."""

    resource_number: int
    start_time: datetime
    end_time: datetime


class Busy(NamedTuple):
    """A place that is taken for a time; all times are in seconds since 1970."""

    resource_number: int
    place: int
    start: int
    end: int
    occupied_start: int
    occupied_end: int
    lease_end: float | None
    """When it is free again unless it is confirmed."""
    booking_id: UUID
    seat: int

    @property
    def places(self) -> int:
        return 1


class TakenTime(NamedTuple):
    """A time in which places of a resource are taken, whoever has them; all times are in seconds since 1970.

    Of a resource with one place, times that lie close together are one, and their buffers are part of them.
    """

    start: int
    end: int
    occupied_start: int
    occupied_end: int
    places: int


@dataclass(frozen=True, slots=True)
class BookingFilter:
    """Which bookings to list; None means any."""

    state: BookingState | None = None
    customer_id: str | None = None
    resource_id: UUID | None = None
    series_id: UUID | None = None
    start_time: datetime | None = None
    """The first start that counts."""
    end_time: datetime | None = None
    """The first start that counts no more."""


@dataclass(frozen=True, slots=True)
class BookingAudience:
    """Whom changes of bookings are sent to; with nothing set, changes of every booking."""

    customer_id: str | None = None
    """Only bookings of this customer."""
    account_id: UUID | None = None
    """Only bookings that this account is the customer of, or has made."""
    resource_id: UUID | None = None
    """Only bookings of this resource."""


@dataclass(frozen=True, slots=True)
class BookingChange:
    """One change of a booking."""

    sequence: int
    booking: Booking
    """As it was after the change."""

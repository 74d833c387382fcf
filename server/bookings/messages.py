"""bookings' messages to plain values, and back."""

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

from backroom.bookings.v1 import booking_service_pb2, bookings_pb2, resources_pb2
from server.bookings.rules import asking
from server.bookings.rules.availability import Sought
from server.bookings.rules.hours import MINUTE, moment_of, seconds_of
from server.bookings.rules.placing import Skipped
from server.bookings.rules.resources import BOOKING_WINDOW_MINUTES, CAPACITY, SLOT_STEP_MINUTES, ResourceDraft
from server.bookings.service.availability import Search, Slot
from server.frame.caller import Caller
from server.frame.editing import Edit, as_sent, edit_of, etag_of
from server.frame.errors import FieldInvalid, Refusal
from server.frame.statuses import status_of
from server.frame.wire import (
    EnumNames,
    bound_of,
    id_text,
    optional_name,
    optional_uuid,
    period_of,
    require,
    time_of,
    timestamp,
)
from storage.bookings.records import (
    Booking,
    BookingFilter,
    BookingState,
    DayHours,
    DayPeriod,
    Holiday,
    Resource,
    WeeklyPeriod,
)
from storage.frame.records import ChangeContext

_LONGEST_WINDOW = timedelta(days=366)
_CLOCK = re.compile(r"([01][0-9]|2[0-4]):([0-5][0-9])")
_MIDNIGHT = 24 * 60
_LOCAL = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}")
_YEARLY = re.compile(r"[0-9]{2}-[0-9]{2}")
_LEAP_YEAR = 2000

_STATES = EnumNames(BookingState, bookings_pb2.BookingState)
_ALL_OR_NONE = bookings_pb2.Recurrence.POLICY_ALL_OR_NONE


def draft(resource: resources_pb2.Resource) -> ResourceDraft:
    """Raises FieldInvalid where the name or the time zone is missing, or a time is malformed."""
    require(resource, "name", "time_zone")
    return ResourceDraft(**{name: read(resource) for name, read in _FIELDS.items()})


def edit(request: booking_service_pb2.UpdateResourceRequest) -> Edit[UUID]:
    """Raises FieldInvalid where the resource_id is missing, or the mask names a field that cannot be changed."""
    return edit_of(request.resource, request.update_mask, ("resource_id", UUID), _FIELDS)


def _opening_hours(resource: resources_pb2.Resource) -> tuple[WeeklyPeriod, ...]:
    return tuple(
        WeeklyPeriod(each.day, _period(each, f"resource.opening_hours[{place}]"))
        for place, each in enumerate(resource.opening_hours)
    )


def _exceptions(resource: resources_pb2.Resource) -> tuple[DayHours, ...]:
    return tuple(
        DayHours(
            _date(each.date, f"resource.exceptions[{place}].date"),
            tuple(
                _period(period, f"resource.exceptions[{place}].periods[{inner}]")
                for inner, period in enumerate(each.periods)
            ),
        )
        for place, each in enumerate(resource.exceptions)
    )


def _holidays(resource: resources_pb2.Resource) -> tuple[Holiday, ...]:
    return tuple(_holiday(each, f"resource.holidays[{place}].date") for place, each in enumerate(resource.holidays))


def _holiday(holiday: resources_pb2.Holiday, path: str) -> Holiday:
    if _YEARLY.fullmatch(holiday.date):
        day = _date(f"{_LEAP_YEAR}-{holiday.date}", path)
        return Holiday(0, day.month, day.day, holiday.name)
    day = _date(holiday.date, path)
    return Holiday(day.year, day.month, day.day, holiday.name)


def _or(name: str, default: int) -> Callable[[Any], int]:
    """A number of which 0 means another one."""
    return lambda resource: getattr(resource, name) or default


_FIELDS: Mapping[str, Callable[[resources_pb2.Resource], Any]] = {
    **as_sent("name", "time_zone", "archived"),
    **as_sent("buffer_before_minutes", "buffer_after_minutes", "minimum_notice_minutes", "cancel_cutoff_minutes"),
    "opening_hours": _opening_hours,
    "exceptions": _exceptions,
    "holidays": _holidays,
    "capacity": _or("capacity", CAPACITY),
    "booking_window_minutes": _or("booking_window_minutes", BOOKING_WINDOW_MINUTES),
    "slot_step_minutes": _or("slot_step_minutes", SLOT_STEP_MINUTES),
}
"""The fields of a resource that a caller sets, and how each is read."""


def resource(kept: Resource) -> resources_pb2.Resource:
    return resources_pb2.Resource(
        resource_id=id_text(kept.id),
        name=kept.name,
        time_zone=kept.time_zone,
        opening_hours=[
            resources_pb2.OpeningPeriod(day=each.weekday, **_clocks(each.period)) for each in kept.opening_hours
        ],
        exceptions=[
            resources_pb2.OpeningException(
                date=each.date.isoformat(),
                periods=[resources_pb2.DayPeriod(**_clocks(period)) for period in each.periods],
            )
            for each in kept.exceptions
        ],
        holidays=[resources_pb2.Holiday(date=_holiday_text(each), name=each.name) for each in kept.holidays],
        capacity=kept.capacity,
        buffer_before_minutes=kept.buffer_before_minutes,
        buffer_after_minutes=kept.buffer_after_minutes,
        minimum_notice_minutes=kept.minimum_notice_minutes,
        booking_window_minutes=kept.booking_window_minutes,
        slot_step_minutes=kept.slot_step_minutes,
        cancel_cutoff_minutes=kept.cancel_cutoff_minutes,
        archived=kept.archived,
        etag=etag_of(kept),
        create_time=timestamp(kept.create_time),
        update_time=timestamp(kept.update_time),
    )


def make_booking(
    request: booking_service_pb2.BookRequest, caller: Caller, context: ChangeContext, booking_id: UUID
) -> asking.MakeBooking:
    """Raises FieldInvalid where a resource is named twice, or the local start is malformed."""
    wanted = asking.Wanted(
        choices(request.choices), start(request), request.duration_minutes, request.time_zone, request.seats or 1
    )
    lease = timedelta(seconds=request.lease_seconds) if request.lease_seconds else None
    customer_id = optional_name(request.customer_id, "customer_id")
    return asking.MakeBooking(caller, context, booking_id, wanted, customer_id, request.title, lease)


def recurrence(sent: bookings_pb2.Recurrence) -> asking.Recurrence:
    excluded = [_local_time(text, f"recurrence.excluded[{place}]") for place, text in enumerate(sent.excluded)]
    return asking.Recurrence(sent.rule, excluded, sent.policy == _ALL_OR_NONE)


def choices(sent: Sequence[bookings_pb2.ResourceChoice]) -> Sequence[Sequence[UUID]]:
    """Raises FieldInvalid where a resource is named twice."""
    read = tuple(tuple(map(UUID, choice.resource_ids)) for choice in sent)
    asking.check_choices(read)
    return read


def start(request: booking_service_pb2.BookRequest | booking_service_pb2.RescheduleRequest) -> asking.Start:
    if request.WhichOneof("start") == "local_start":
        return asking.Start(local=_local_time(request.local_start, "local_start"))
    return asking.Start(time=time_of(request.start_time))


def search(request: booking_service_pb2.FindAvailabilityRequest, *, after: int | None) -> Search:
    """Raises FieldInvalid where the window ends before it begins, or is longer than 366 days."""
    begin, end = bound_of(request.start_time), time_of(request.end_time)
    if not begin <= end <= begin + min(_LONGEST_WINDOW, datetime.max.replace(tzinfo=end.tzinfo) - begin):
        raise FieldInvalid.of("end_time", "must be after start_time, by up to 366 days")
    cut = seconds_of(begin)
    first = cut if moment_of(cut) == begin else cut + 1
    first = max(first, after + 1) if after is not None else first
    sought = Sought(choices(request.choices), request.duration_minutes * MINUTE, request.seats or 1)
    return Search(sought, first, seconds_of(end))


def slots_to_check(request: booking_service_pb2.CheckSlotsRequest) -> Sequence[asking.Wanted]:
    """Raises FieldInvalid where a resource is named twice, or there are too many times for so many resources."""
    sent, seats = choices(request.choices), request.seats or 1
    asking.check_pairs(len(request.slots), sent, "slots")
    return [
        asking.Wanted(sent, asking.Start(time=time_of(slot.start_time)), slot.duration_minutes, "", seats)
        for slot in request.slots
    ]


def slot(found: Slot) -> bookings_pb2.AvailableSlot:
    available = bookings_pb2.AvailableSlot()
    available.start_time.seconds = found.start
    available.end_time.seconds = found.end
    return available


def checked_slot(refusal: Refusal | None) -> bookings_pb2.CheckedSlot:
    return bookings_pb2.CheckedSlot(bookable=refusal is None, refusal=status_of(refusal) if refusal else None)


def skipped(each: Skipped) -> bookings_pb2.SkippedOccurrence:
    return bookings_pb2.SkippedOccurrence(start_time=timestamp(each.start), refusal=status_of(each.refusal))


def booking(kept: Booking) -> bookings_pb2.Booking:
    pending = kept.state is BookingState.PENDING
    return bookings_pb2.Booking(
        booking_id=id_text(kept.id),
        series_id=id_text(kept.series_id),
        customer_id=kept.customer_id,
        booked_by=id_text(kept.booked_by),
        state=_STATES.wire(kept.state),
        resource_ids=map(str, kept.resource_ids),
        seats=kept.seats,
        title=kept.title,
        start_time=timestamp(kept.start_time),
        end_time=timestamp(kept.end_time),
        local_start=kept.local_start.isoformat(timespec="minutes"),
        time_zone=kept.time_zone,
        lease_end_time=timestamp(kept.lease_end_time) if pending else None,
        cancel_reason=kept.cancel_reason,
        version=kept.version,
        create_time=timestamp(kept.create_time),
        update_time=timestamp(kept.update_time),
    )


def booking_filter(request: booking_service_pb2.ListBookingsRequest) -> BookingFilter:
    start_time, end_time = period_of(request)
    return BookingFilter(
        state=_STATES.find(request.state),
        customer_id=optional_name(request.customer_id, "customer_id"),
        resource_id=optional_uuid(request.resource_id),
        series_id=optional_uuid(request.series_id),
        start_time=start_time,
        end_time=end_time,
    )


def _period(period: resources_pb2.OpeningPeriod | resources_pb2.DayPeriod, path: str) -> DayPeriod:
    opens, closes = _minutes(period.opens, f"{path}.opens"), _minutes(period.closes, f"{path}.closes")
    if closes <= opens:
        raise FieldInvalid.of(f"{path}.closes", "must be later than opens")
    return DayPeriod(opens, closes)


def _minutes(text: str, path: str) -> int:
    found = _CLOCK.fullmatch(text)
    minutes = int(found[1]) * MINUTE + int(found[2]) if found else _MIDNIGHT + 1
    if minutes > _MIDNIGHT:
        raise FieldInvalid.of(path, 'must be a time of day such as "09:30", from "00:00" to "24:00"')
    return minutes


def _clocks(period: DayPeriod) -> Mapping[str, str]:
    return {name: f"{getattr(period, name) // 60:02}:{getattr(period, name) % 60:02}" for name in ("opens", "closes")}


def _date(text: str, path: str) -> date:
    try:
        if text == (day := date.fromisoformat(text)).isoformat():
            return day
    except ValueError:
        pass
    raise FieldInvalid.of(path, 'must be a day such as "2026-12-25"')


def _holiday_text(holiday: Holiday) -> str:
    of_year = f"{holiday.month:02}-{holiday.day:02}"
    return f"{holiday.year:04}-{of_year}" if holiday.year else of_year


def _local_time(text: str, path: str) -> datetime:
    try:
        if _LOCAL.fullmatch(text):
            return datetime.fromisoformat(text)
    except ValueError:
        pass
    raise FieldInvalid.of(path, 'must be a local time such as "2026-07-01T09:00"')

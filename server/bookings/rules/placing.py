"""Placing bookings one after the other: the first that fits gets its time, and those behind it see that."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import islice
from uuid import UUID

from server.bookings.errors import (
    AlreadyBooked,
    CustomerNotPermitted,
    LeaseTooLong,
    NothingFits,
    TooManyBookingsAhead,
)
from server.bookings.rules.asking import MakeBooking, Span
from server.bookings.rules.availability import REFUSALS, Calendar, Choices, Offers
from server.bookings.rules.hours import moment_of
from server.bookings.rules.seating import seat_of, traded
from server.frame.errors import AccountDeleted, PreconditionViolation, Refusal
from storage.bookings.records import Booking, BookingState, Busy, Occupancy, Resource

_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Terms:
    """What a customer may keep from others."""

    lease: timedelta = timedelta(minutes=15)
    """For how long at most without having confirmed it."""
    max_ahead: int = 100
    """How many bookings that have not begun."""


class Scattered(Exception):
    """Seats are left, but bookings must trade their places: all that is taken of the resource is to be read."""

    def __init__(self, resource_id: UUID) -> None:
        super().__init__(str(resource_id))
        self.resource_id = resource_id


@dataclass(frozen=True, slots=True)
class Skipped:
    """An occurrence of a series that cannot be booked."""

    start: datetime
    reason: str
    """Why, as the contract names it."""
    resource_id: str

    @property
    def refusal(self) -> Refusal:
        return REFUSALS[self.reason](resource_id=self.resource_id)


class Placement:
    """The state of one decision, from the first booking to the last."""

    def __init__(
        self,
        resources: Mapping[UUID, Resource],
        busy: Collection[Busy],
        now: datetime,
        *,
        terms: Terms = Terms(),
        ahead: Mapping[str, int] | None = None,
        whole: Collection[UUID] = (),
    ) -> None:
        """`ahead` is how many bookings the customers have that are bounded; `whole` are the resources of which all is
        given that is taken from now on.
        """
        moment = now.timestamp()
        self.ended = {each.booking_id for each in busy if each.lease_end is not None and each.lease_end <= moment}
        """The bookings whose leases have ended, and whose places are taken for free."""
        lasting = _by_number(each for each in busy if each.booking_id not in self.ended)
        calendars = {each.id: Calendar(each, lasting[each.number], now) for each in resources.values()}
        self._now = now
        self._terms = terms
        self._ahead = dict(ahead or {})
        self._whole = whole
        self._new: dict[tuple[UUID, UUID, int], Occupancy] = {}
        self._moved: dict[tuple[UUID, UUID, int], Occupancy] = {}
        self.offers = Offers(calendars)
        self.bookings: list[Booking] = []
        self.chosen: dict[UUID, datetime] = {}
        """When resources were chosen from among others."""

    @property
    def new_occupancies(self) -> Sequence[Occupancy]:
        return [*self._new.values()]

    @property
    def moved_occupancies(self) -> Sequence[Occupancy]:
        """Those that were there before, and have another place or time."""
        return [*self._moved.values()]

    def book(self, request: MakeBooking, span: Span) -> Booking:
        """Makes a booking; raises why it cannot be made."""
        check_rights(request, self._terms)
        calendars = self.offers.chosen(request.wanted.choices, span.start, span.end, request.wanted.seats)
        self._count(request, 1)
        return self._make(request, request.booking_id, None, span, calendars)

    def book_series(
        self, request: MakeBooking, spans: Sequence[Span], ids: Sequence[UUID], *, all_or_none: bool
    ) -> tuple[Sequence[Booking], Sequence[Skipped]]:
        """Makes the bookings of a series, whose id is the request's, under these ids; raises NothingFits.

        Where it raises, this decision must not be stored.
        """
        check_rights(request, self._terms)
        made: list[Booking] = []
        skipped: list[Skipped] = []
        for span, booking_id in zip(spans, ids, strict=True):
            try:
                calendars = self.offers.chosen(request.wanted.choices, span.start, span.end, request.wanted.seats)
            except Refusal as refusal:
                skipped.append(Skipped(moment_of(span.start), refusal.reason, refusal.metadata["resource_id"]))
            else:
                made.append(self._make(request, booking_id, request.booking_id, span, calendars))
        if not made or (all_or_none and skipped):
            raise NothingFits(preconditions=[_violation(each) for each in skipped])
        self._count(request, len(made))
        return made, skipped

    def move(self, booking: Booking, span: Span) -> Booking:
        """Moves a booking, whose own places are not among those that are taken; raises why it cannot be moved."""
        choices: Choices = [(resource_id,) for resource_id in booking.resource_ids]
        calendars = self.offers.chosen(choices, span.start, span.end, booking.seats)
        moved = replace(
            booking,
            local_start=span.local_start,
            local_second=span.local_second,
            start_time=moment_of(span.start),
            end_time=moment_of(span.end),
            version=booking.version + 1,
            update_time=self._now,
        )
        self._take(calendars, moved, span, self._moved)
        return moved

    def _make(
        self,
        request: MakeBooking,
        booking_id: UUID,
        series_id: UUID | None,
        span: Span,
        calendars: Sequence[Calendar[Busy]],
    ) -> Booking:
        booking = _booking(request, booking_id, series_id, span, calendars, self._now)
        self._take(calendars, booking, span, self._new)
        for choice, calendar in zip(request.wanted.choices, calendars, strict=True):
            if len(choice) > 1:
                self._turn(calendar)
        self.bookings.append(booking)
        return booking

    def _turn(self, calendar: Calendar[Busy]) -> None:
        """Puts a resource behind those that it was chosen among."""
        latest = max(self.chosen.values(), default=self._now)
        self.chosen[calendar.resource.id] = latest + _MICROSECOND
        calendar.last_choice = self.chosen[calendar.resource.id]

    def _count(self, request: MakeBooking, count: int) -> None:
        if request.caller.may("bookings.hold_more"):
            return
        ahead = self._ahead.get(request.customer, 0) + count
        if ahead > self._terms.max_ahead:
            raise TooManyBookingsAhead(bookings=str(ahead), most=str(self._terms.max_ahead))
        self._ahead[request.customer] = ahead

    def _take(
        self,
        calendars: Sequence[Calendar[Busy]],
        booking: Booking,
        span: Span,
        into: dict[tuple[UUID, UUID, int], Occupancy],
    ) -> None:
        """Nothing is taken where one of the resources has no places."""
        places = [self._places(calendar, booking, span) for calendar in calendars]
        for calendar, mine in zip(calendars, places, strict=True):
            for seat, place in enumerate(mine, start=1):
                busy = _busy(calendar, booking, span, seat, place)
                calendar.taken.add(busy)
                into[booking.id, calendar.resource.id, seat] = _occupancy(calendar, busy)

    def _places(self, calendar: Calendar[Busy], booking: Booking, span: Span) -> Sequence[int]:
        places = _free_places(calendar, span, booking.seats)
        return places if len(places) == booking.seats else self._traded_places(calendar, booking, span)

    def _traded_places(self, calendar: Calendar[Busy], booking: Booking, span: Span) -> Sequence[int]:
        resource = calendar.resource
        if resource.id not in self._whole:
            raise Scattered(resource.id)
        wanted = [_busy(calendar, booking, span, seat, 0) for seat in range(1, booking.seats + 1)]
        taken = [*calendar.taken]
        places = traded(taken, wanted, resource.capacity, int(self._now.timestamp()))
        if places is None:
            raise AlreadyBooked(resource_id=str(resource.id))
        for each in taken:
            if places[seat_of(each)] != each.place:
                new = each._replace(place=places[seat_of(each)])
                calendar.taken.replace(each, new)
                key = (each.booking_id, resource.id, each.seat)
                into = self._new if key in self._new else self._moved
                into[key] = _occupancy(calendar, new)
        return [places[seat_of(each)] for each in wanted]


def check_rights(request: MakeBooking, terms: Terms) -> None:
    """Raises CustomerNotPermitted, LeaseTooLong."""
    own = request.customer == str(request.caller.account_id)
    if not own and not request.caller.may("bookings.book_for"):
        raise CustomerNotPermitted(permission="bookings.book_for")
    if request.lease and request.lease > terms.lease and not request.caller.may("bookings.hold_more"):
        longest = str(int(terms.lease.total_seconds()))
        raise LeaseTooLong(permission="bookings.hold_more", longest_seconds=longest)


def check_customer(request: MakeBooking, deleted: Collection[str]) -> None:
    """Raises AccountDeleted where the customer's account is among those that were."""
    if request.customer in deleted:
        raise AccountDeleted(account_id=request.customer)


def others_of(requests: Sequence[MakeBooking]) -> set[str]:
    """The customers for whom somebody else calls, and whose accounts may have been deleted."""
    return {request.customer for request in requests if request.customer != request.caller.account}


def bounded_customers(requests: Sequence[MakeBooking]) -> set[str]:
    """The customers whose bookings ahead are to be counted."""
    return {request.customer for request in requests if not request.caller.may("bookings.hold_more")}


def _by_number(busy: Iterable[Busy]) -> Mapping[int, Sequence[Busy]]:
    taken: defaultdict[int, list[Busy]] = defaultdict(list)
    for each in busy:
        taken[each.resource_number].append(each)
    return taken


def _free_places(calendar: Calendar[Busy], span: Span, seats: int) -> Sequence[int]:
    """As many places as there are seats, which nobody has meanwhile; fewer where bookings must trade theirs."""
    taken = {each.place for each in calendar.taken.overlapping(span.start - calendar.before, span.end + calendar.after)}
    free = (place for place in range(1, calendar.resource.capacity + 1) if place not in taken)
    return [*islice(free, seats)]


def _violation(skipped: Skipped) -> PreconditionViolation:
    return PreconditionViolation("OCCURRENCE", skipped.start.isoformat(), str(skipped.refusal))


def _booking(
    request: MakeBooking,
    booking_id: UUID,
    series_id: UUID | None,
    span: Span,
    calendars: Sequence[Calendar[Busy]],
    now: datetime,
) -> Booking:
    return Booking(
        id=booking_id,
        series_id=series_id,
        customer_id=request.customer,
        booked_by=request.caller.account_id,
        state=BookingState.PENDING if request.lease else BookingState.CONFIRMED,
        resource_ids=tuple(calendar.resource.id for calendar in calendars),
        seats=request.wanted.seats,
        title=request.title,
        local_start=span.local_start,
        local_second=span.local_second,
        time_zone=span.time_zone,
        start_time=moment_of(span.start),
        end_time=moment_of(span.end),
        lease_end_time=now + request.lease if request.lease else None,
        cancel_reason="",
        version=1,
        create_time=now,
        update_time=now,
    )


def _busy(calendar: Calendar[Busy], booking: Booking, span: Span, seat: int, place: int) -> Busy:
    return Busy(
        calendar.resource.number,
        place,
        span.start,
        span.end,
        span.start - calendar.before,
        span.end + calendar.after,
        booking.lease_end_time.timestamp() if booking.lease_end_time else None,
        booking.id,
        seat,
    )


def _occupancy(calendar: Calendar[Busy], busy: Busy) -> Occupancy:
    lease_end_time = datetime.fromtimestamp(busy.lease_end, UTC) if busy.lease_end else None
    return Occupancy(
        busy.booking_id,
        calendar.resource.id,
        busy.seat,
        busy.resource_number,
        busy.place,
        moment_of(busy.start),
        moment_of(busy.end),
        moment_of(busy.occupied_start),
        moment_of(busy.occupied_end),
        lease_end_time,
    )

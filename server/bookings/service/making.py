from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from uuid import UUID

from server.bookings.rules.asking import MakeBooking, Recurrence, Span, span_of, spans_of
from server.bookings.rules.availability import known
from server.bookings.rules.placing import Placement, Terms, bounded_customers, check_customer, check_rights, others_of
from server.bookings.service.answers import BOOKED_SERIES, BOOKING, BookedSeries
from server.bookings.service.placing import place, retried
from server.frame.errors import Refusal
from server.frame.repeating import once, once_for_each
from storage.bookings.records import Booking, Resource
from storage.bookings.store import BookingsStore, BookingsTransaction
from storage.errors import AlreadyExists, StoreContention


class Making:
    """Bookings that are made, one by one or as a series."""

    def __init__(
        self, store: BookingsStore, now: Callable[[], datetime], new_id: Callable[[], UUID], terms: Terms
    ) -> None:
        self._store = store
        self._now = now
        self._new_id = new_id
        self._terms = terms

    async def book(self, requests: Sequence[MakeBooking]) -> Sequence[Booking | Refusal]:
        """Decides bookings in the order they came, all in one transaction: the first that fits gets its time."""
        try:
            return await once_for_each(
                self._store, requests, BOOKING, self._book, lambda booking: f"booking/{booking.id}"
            )
        except AlreadyExists as error:
            # Whoever wrote that had not locked the resource; on a retry, it will be seen.
            raise StoreContention from error

    async def book_series(self, request: MakeBooking, recurrence: Recurrence) -> BookedSeries:
        """Books all occurrences of a rule or those that fit; the series has the request's id.

        Raises FieldInvalid, NothingFits, TooManyBookingsAhead, and what `check_rights` does.
        """

        async def act(tx: BookingsTransaction) -> BookedSeries:
            check_rights(request, self._terms)
            resources = await tx.resources.lock_many(request.wanted.resource_ids)
            check_customer(request, await tx.account_deletions.deleted_among(others_of([request])))
            known(request.wanted.resource_ids, resources)
            spans = spans_of(request.wanted, recurrence, resources)
            ids = [self._new_id() for _ in spans]
            now = self._now()

            def decide(placement: Placement) -> BookedSeries:
                made, skipped = placement.book_series(request, spans, ids, all_or_none=recurrence.all_or_none)
                return BookedSeries(request.booking_id, tuple(made), tuple(skipped))

            times = [(request.wanted.resource_ids, span.start, span.end) for span in spans]
            ahead = await tx.bookings.count_ahead(bounded_customers([request]), now)
            return await place(tx, resources, times, now, decide, terms=self._terms, ahead=ahead)

        series = f"series/{request.booking_id}"
        return await retried(lambda: once(self._store, request.context, BOOKED_SERIES, act, series))

    async def _book(self, tx: BookingsTransaction, requests: Sequence[MakeBooking]) -> Sequence[Booking | Refusal]:
        wanted = {resource_id for request in requests for resource_id in request.wanted.resource_ids}
        resources = await tx.resources.lock_many(wanted)  # rows in key order: no deadlock
        now = self._now()
        deleted = await tx.account_deletions.deleted_among(others_of(requests))
        spans = [self._asked(request, resources, deleted) for request in requests]
        times = [
            (request.wanted.resource_ids, span.start, span.end)
            for request, span in zip(requests, spans, strict=True)
            if isinstance(span, Span)
        ]

        def decide(placement: Placement) -> Sequence[Booking | Refusal]:
            return [_booked(placement, request, span) for request, span in zip(requests, spans, strict=True)]

        ahead = await tx.bookings.count_ahead(bounded_customers(requests), now)
        return await place(tx, resources, times, now, decide, terms=self._terms, ahead=ahead)

    def _asked(
        self, request: MakeBooking, resources: Mapping[UUID, Resource], deleted: Collection[str]
    ) -> Span | Refusal:
        try:
            check_rights(request, self._terms)
            check_customer(request, deleted)
            known(request.wanted.resource_ids, resources)
            return span_of(request.wanted, resources)
        except Refusal as refusal:
            return refusal


def _booked(placement: Placement, request: MakeBooking, span: Span | Refusal) -> Booking | Refusal:
    if isinstance(span, Refusal):
        return span
    try:
        return placement.book(request, span)
    except Refusal as refusal:
        return refusal

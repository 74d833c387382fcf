from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Integer, Select, any_, bindparam, func, literal, select, true, tuple_

from storage.base import (
    Reader,
    Records,
    Repository,
    column_names,
    insert_json,
    json_parameter,
    json_rows,
    update_json,
    values_getter,
)
from storage.bookings.records import Booking, BookingFilter, BookingState, Occupancy
from storage.bookings.repository.occupancies import COLUMNS, rows_of
from storage.bookings.tables import bookings, occupancies

_BOOKING = column_names(bookings)
_CHANGEABLE = (
    *("id", "state", "local_start", "local_second", "start_time", "end_time", "lease_end_time"),
    *("cancel_reason", "version", "update_time"),
)

_BOOKINGS = Records(Booking, state=BookingState, resource_ids=(tuple, "resource_ids"))
_NEW = values_getter(_BOOKING)
_CHANGED = values_getter(_CHANGEABLE)

_ADD = insert_json(occupancies, *COLUMNS, name="taken").add_cte(
    insert_json(bookings, *_BOOKING, name="heads").cte("made")
)
_CHANGE = update_json(bookings, *_CHANGEABLE)
_FIND = select(bookings).where(bookings.c.id.in_(select(json_rows(bookings, "id").c.id)))
_LOCK = _FIND.order_by(bookings.c.id).with_for_update(key_share=True)
_OF_SERIES = select(bookings).where(bookings.c.series_id == bindparam("series")).order_by(bookings.c.start_time)
# Written out, since an index has the pending ones alone: a plan for any state could not use it.
_PENDING = bookings.c.state == literal(BookingState.PENDING.value, literal_execute=True)
_DUE = (
    select(bookings)
    .where(_PENDING, bookings.c.lease_end_time <= bindparam("now"))
    .order_by(bookings.c.lease_end_time)
    .limit(bindparam("most"))
)
_ACTIVE = bookings.c.state.in_([BookingState.PENDING.value, BookingState.CONFIRMED.value])
_CUSTOMERS = json_rows(bookings, "customer_id")
_COUNT_AHEAD = (
    select(bookings.c.customer_id, func.count().label("ahead"))
    .where(
        bookings.c.customer_id.in_(select(_CUSTOMERS.c.customer_id)),
        bookings.c.start_time > bindparam("now"),
        _ACTIVE,
    )
    .group_by(bookings.c.customer_id)
)
_AHEAD = (
    select(bookings)
    .where(_ACTIVE, bookings.c.start_time > bindparam("now"))
    .order_by(bookings.c.start_time, bookings.c.id)
    .limit(bindparam("most"))
)


# From the first place that the booking has there; seat 1 is written out, as the index has it.
LIST_ACTIVE = (
    select(bookings)
    .join_from(occupancies, bookings)
    .where(
        occupancies.c.resource_id == bindparam("resource"),
        occupancies.c.seat == literal(1, literal_execute=True),
        occupancies.c.start_time >= bindparam("first"),
        occupancies.c.start_time < bindparam("last"),
        occupancies.c.active,
        func.coalesce(occupancies.c.lease_end_time > bindparam("now"), true()),
    )
    .order_by(occupancies.c.start_time, occupancies.c.booking_id)
    .limit(bindparam("most", type_=Integer))
)
"""What takes a resource in a window; a test reads its plan."""


class BookingReader(Reader):
    """Bookings, as they are stored."""

    async def find_many(self, booking_ids: Collection[UUID]) -> Mapping[UUID, Booking]:
        """The bookings that exist of these."""
        found = await self._connection.execute(_FIND, _ids(booking_ids))
        return {each.id: each for each in _BOOKINGS.all(found)}

    async def find(self, booking_id: UUID) -> Booking | None:
        return (await self.find_many([booking_id])).get(booking_id)

    async def find_series(self, series_id: UUID) -> Sequence[Booking]:
        """All bookings of a series, by when they begin; none where there is no such series."""
        return _BOOKINGS.all(await self._connection.execute(_OF_SERIES, {"series": series_id}))

    async def find_due(self, now: datetime, limit: int) -> Sequence[Booking]:
        """Pending bookings whose lease has ended, those first that ended first."""
        return _BOOKINGS.all(await self._connection.execute(_DUE, {"now": now, "most": limit}))

    async def find_ahead(self, now: datetime, after: tuple[datetime, UUID] | None, limit: int) -> Sequence[Booking]:
        """Pending and confirmed bookings that have not begun, by when they begin, behind a key of (start_time, id)."""
        statement = _AHEAD
        if after is not None:
            statement = statement.where(tuple_(bookings.c.start_time, bookings.c.id) > after)
        return _BOOKINGS.all(await self._connection.execute(statement, {"now": now, "most": limit}))

    async def count_ahead(self, customer_ids: Collection[str], now: datetime) -> Mapping[str, int]:
        """How many pending and confirmed bookings these customers have that have not begun; none are left out."""
        if not customer_ids:
            return {}
        values = json_parameter(("customer_id",), ((each,) for each in customer_ids))
        found = await self._connection.execute(_COUNT_AHEAD, {**values, "now": now})
        return {row.customer_id: row.ahead for row in found}

    async def list_active(
        self, resource_id: UUID, now: datetime, first: datetime, last: datetime, *, limit: int
    ) -> Sequence[Booking]:
        """Pending and confirmed bookings of a resource that begin in a window, by when they begin."""
        window = {"resource": resource_id, "now": now, "first": first, "last": last, "most": limit}
        return _BOOKINGS.all(await self._connection.execute(LIST_ACTIVE, window))

    async def list_by_start(
        self, wanted: BookingFilter, *, after: tuple[datetime, UUID] | None, limit: int
    ) -> Sequence[Booking]:
        """Bookings by when they begin, starting behind a key of (start_time, id)."""
        # Of one customer or one series there are few, however many bookings a resource has.
        few = wanted.customer_id is not None or wanted.series_id is not None
        table = occupancies if wanted.resource_id is not None and not few else bookings
        key = (table.c.start_time, occupancies.c.booking_id if table is occupancies else bookings.c.id)
        statement: Select[Any] = select(bookings)
        if table is occupancies:
            statement = statement.join_from(occupancies, bookings).where(
                occupancies.c.resource_id == wanted.resource_id, occupancies.c.seat == literal(1, literal_execute=True)
            )
        elif wanted.resource_id is not None:
            statement = statement.where(any_(bookings.c.resource_ids) == wanted.resource_id)
        statement = statement.where(*_conditions(wanted, table.c.start_time))
        if after is not None:
            statement = statement.where(tuple_(*key) > after)
        return _BOOKINGS.all(await self._connection.execute(statement.order_by(*key).limit(limit)))


class BookingRepository(BookingReader, Repository):
    """Bookings; their resources are locked before them, whoever changes any."""

    async def add(self, new: Sequence[Booking], taken: Sequence[Occupancy]) -> None:
        """Adds bookings with their places, all in one statement.

        Raises AlreadyExists where they would overlap others: whoever has locked the resources has seen those.
        """
        if not new:
            return
        heads = json_parameter(_BOOKING, map(_NEW, new), name="heads")
        await self._connection.execute(_ADD, heads | json_parameter(COLUMNS, rows_of(taken), name="taken"))

    async def lock_many(self, booking_ids: Collection[UUID]) -> Mapping[UUID, Booking]:
        """The bookings that exist of these, locked in key order until the transaction ends."""
        if not booking_ids:
            return {}
        found = await self._connection.execute(_LOCK, _ids(booking_ids))
        return {each.id: each for each in _BOOKINGS.all(found)}

    async def change(self, changed: Sequence[Booking]) -> None:
        """Stores the new values of bookings that were locked in this transaction; not their places."""
        if changed:
            await self._connection.execute(_CHANGE, json_parameter(_CHANGEABLE, map(_CHANGED, changed)))


def _ids(booking_ids: Collection[UUID]) -> dict[str, str]:
    return json_parameter(("id",), ((booking_id,) for booking_id in booking_ids))


def _conditions(wanted: BookingFilter, start_time: Any) -> Iterator[Any]:
    if wanted.state is not None:
        yield bookings.c.state == wanted.state
    if wanted.customer_id is not None:
        yield bookings.c.customer_id == wanted.customer_id
    if wanted.series_id is not None:
        yield bookings.c.series_id == wanted.series_id
    if wanted.start_time is not None:
        yield start_time >= wanted.start_time
    if wanted.end_time is not None:
        yield start_time < wanted.end_time

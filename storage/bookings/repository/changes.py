import json
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import CTE, ColumnElement, Row, Select, any_, or_, select, true
from sqlalchemy.ext.asyncio import AsyncConnection

from storage.base import Records
from storage.bookings.records import Booking, BookingAudience, BookingChange, BookingState
from storage.bookings.tables import bookings
from storage.frame.records import ChangePage, LogRange
from storage.frame.tables import events
from storage.log import LogReader

_EVENT = ("sequence", "subject_id", "data")

_BOOKINGS = Records(Booking, state=BookingState, resource_ids=(tuple, "resource_ids"))


class BookingChangeReader(LogReader):
    """What happened to bookings, from the log of events."""

    def __init__(self, connection: AsyncConnection) -> None:
        super().__init__(connection, events, events.c.type.like("booking.%"))

    async def list_changes(
        self, log_range: LogRange, limit: int, audience: BookingAudience
    ) -> ChangePage[BookingChange]:
        """The changes among the first `limit` of a range that an audience gets."""

        def visible(page: CTE) -> Select[Any]:
            mine = bookings.c.id == page.c.subject_id
            return select(page, *bookings.c).join_from(page, bookings, mine).where(_concerns(audience))

        found, last = await self._read(log_range, limit, _EVENT, visible)
        changes = [_change(row, booking) for row, booking in zip(found, _BOOKINGS.all(found), strict=True)]
        return ChangePage(changes, last)


def _concerns(audience: BookingAudience) -> ColumnElement[bool]:
    concerns: ColumnElement[bool] = true()
    if audience.customer_id is not None:
        concerns &= bookings.c.customer_id == audience.customer_id
    if audience.account_id is not None:
        mine = str(audience.account_id)
        concerns &= or_(bookings.c.customer_id == mine, bookings.c.booked_by == audience.account_id)
    if audience.resource_id is not None:
        concerns &= any_(bookings.c.resource_ids) == audience.resource_id
    return concerns


def _change(row: Row[Any], booking: Booking) -> BookingChange:
    """The booking as the event has it; what no event changes is the booking's own."""
    data = json.loads(row.data)
    lease_end_time = data["lease_end_time"]
    changed = replace(
        booking,
        state=BookingState(data["state"]),
        local_start=datetime.fromisoformat(data["local_start"]),
        local_second=data["local_second"],
        start_time=datetime.fromisoformat(data["start_time"]),
        end_time=datetime.fromisoformat(data["end_time"]),
        lease_end_time=datetime.fromisoformat(lease_end_time) if lease_end_time else None,
        cancel_reason=data["cancel_reason"],
        version=data["version"],
        update_time=datetime.fromisoformat(data["update_time"]),
    )
    return BookingChange(row.sequence, changed)

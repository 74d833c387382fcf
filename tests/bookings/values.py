"""Resources and what is taken of them, as plain values."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from storage.bookings.records import Busy, DayPeriod, Resource, WeeklyPeriod

EVERY_DAY = tuple(WeeklyPeriod(day, DayPeriod(0, 1440)) for day in range(1, 8))
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def resource(**rest: Any) -> Resource:
    """One that is open at any time."""
    values = {
        "id": UUID(int=1),
        "number": 1,
        "name": "Room",
        "time_zone": "UTC",
        "opening_hours": EVERY_DAY,
        "exceptions": (),
        "holidays": (),
        "capacity": 1,
        "buffer_before_minutes": 0,
        "buffer_after_minutes": 0,
        "minimum_notice_minutes": 0,
        "booking_window_minutes": 366 * 1440,
        "slot_step_minutes": 30,
        "cancel_cutoff_minutes": 0,
        "archived": False,
        "version": 1,
        "create_time": NOW,
        "update_time": NOW,
    }
    return Resource(**{**values, **rest})


def busy(start: int, end: int, *, place: int = 1, before: int = 0, after: int = 0, **rest: Any) -> Busy:
    """Taken between two minutes of 2026, with buffers in minutes."""
    first = int(NOW.timestamp())
    values = {
        "resource_number": 1,
        "place": place,
        "start": first + start * 60,
        "end": first + end * 60,
        "occupied_start": first + (start - before) * 60,
        "occupied_end": first + (end + after) * 60,
        "lease_end": None,
        "booking_id": UUID(int=start * 10_000_000 + end * 1000 + place),
        "seat": 1,
    }
    return Busy(**{**values, **rest})

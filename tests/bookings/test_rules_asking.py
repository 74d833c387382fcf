"""The times that callers ask for, and the times of a series, over changes of the clocks."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from server.bookings.rules.asking import Recurrence, Start, Wanted, span_of, spans_of, windows_of
from server.bookings.rules.hours import moment_of, seconds_of
from server.frame.errors import FieldInvalid
from storage.bookings.records import BusyWindow
from tests.bookings.values import NOW, resource

ROOM = resource(time_zone="Europe/Berlin")
ROOMS = {ROOM.id: ROOM}


def wanted(local: str = "", *, zone: str = "", time: datetime | None = None) -> Wanted:
    start = Start(time=time, local=datetime.fromisoformat(local) if local else None)
    return Wanted(((ROOM.id,),), start, 60, zone, 1)


def test_a_local_time_that_the_clocks_skip_is_no_time() -> None:
    """It is refused by name, and neither moved nor guessed."""
    with pytest.raises(FieldInvalid) as raised:
        span_of(wanted("2026-03-29T02:30"), ROOMS)
    assert raised.value.fields[0].path == "local_start"


def test_a_local_time_that_comes_twice_can_be_named_by_its_moment() -> None:
    """By the local time alone, it is the first."""
    first = datetime(2026, 10, 25, 0, 30, tzinfo=UTC)
    by_clock = span_of(wanted("2026-10-25T02:30"), ROOMS)
    assert (moment_of(by_clock.start), by_clock.local_second) == (first, False)
    second = span_of(wanted(time=first + timedelta(hours=1)), ROOMS)
    assert (second.local_start, second.local_second) == (by_clock.local_start, True)


def test_a_zone_of_quarter_hours_is_kept() -> None:
    span = span_of(wanted("2026-06-01T09:00", zone="Asia/Kathmandu"), ROOMS)
    assert moment_of(span.start) == datetime(2026, 6, 1, 3, 15, tzinfo=UTC)
    assert span.time_zone == "Asia/Kathmandu"


@pytest.mark.parametrize("zone", ["Europe/Atlantis", "+02:00", "europe/berlin", "../etc/passwd"])
def test_a_zone_that_is_none_is_refused(zone: str) -> None:
    with pytest.raises(FieldInvalid) as raised:
        span_of(wanted("2026-06-01T09:00", zone=zone), ROOMS)
    assert raised.value.fields[0].path == "time_zone"


@pytest.mark.parametrize("time", [datetime(9999, 12, 31, tzinfo=UTC), datetime(1, 1, 1, tzinfo=UTC)])
def test_a_time_far_away_is_refused(time: datetime) -> None:
    with pytest.raises(FieldInvalid):
        span_of(wanted(time=time), ROOMS)


def test_a_series_keeps_its_local_time_and_drops_what_the_clocks_skip() -> None:
    """One at 02:30 on each of four days, of which the second has no such time."""
    going_on = Recurrence("FREQ=DAILY;COUNT=4", (), all_or_none=True)
    spans = spans_of(wanted("2026-03-28T02:30"), going_on, ROOMS)
    assert [span.local_start.isoformat() for span in spans] == [
        "2026-03-28T02:30:00",
        "2026-03-30T02:30:00",
        "2026-03-31T02:30:00",
        "2026-04-01T02:30:00",
    ]
    hours = [moment_of(span.start).hour for span in spans]
    assert hours == [1, 0, 0, 0]


@pytest.mark.parametrize(
    ("rule", "excluded", "path"),
    [
        ("FREQ=DAILY", (), "recurrence.rule"),
        ("FREQ=DAILY;COUNT=501", (), "recurrence.rule"),
        ("FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30;COUNT=1", (), "recurrence.rule"),
        ("FREQ=DAILY;COUNT=1", (datetime(2026, 3, 28, 2, 30),), "recurrence.excluded"),
    ],
)
def test_a_series_without_bounds_or_occurrences_is_refused(
    rule: str, excluded: tuple[datetime, ...], path: str
) -> None:
    with pytest.raises(FieldInvalid) as raised:
        spans_of(wanted("2026-03-28T02:30"), Recurrence(rule, excluded, all_or_none=True), ROOMS)
    assert raised.value.fields[0].path == path


def test_windows_reach_as_far_as_buffers_and_close_ones_are_one() -> None:
    room = resource(id=UUID(int=9), number=7, buffer_before_minutes=10, buffer_after_minutes=20)
    first = seconds_of(NOW)
    times = [([room.id], first + begin * 60, first + (begin + 60) * 60) for begin in (0, 90, 500)]
    assert windows_of(times, {room.id: room}) == [
        BusyWindow(7, NOW - timedelta(minutes=10), NOW + timedelta(minutes=170)),
        BusyWindow(7, NOW + timedelta(minutes=490), NOW + timedelta(minutes=580)),
    ]

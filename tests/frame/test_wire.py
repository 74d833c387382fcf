"""Times on the wire."""

from datetime import UTC, datetime, timedelta, timezone

from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import given, settings
from hypothesis import strategies as st

from server.frame.wire import bound_of, time_of, timestamp


@settings(max_examples=100)
@given(st.datetimes(timezones=st.timezones()))
def test_a_time_is_read_back_as_it_was_sent(time: datetime) -> None:
    """To the microsecond, and in UTC whatever zone it came from."""
    try:
        expected = time.astimezone(UTC)
    except OverflowError:
        return  # the moment lies before the year 1 or after 9999
    assert time_of(timestamp(expected)) == expected


def test_a_time_of_another_zone_is_the_same_moment() -> None:
    """Zones do not stand on the wire."""
    here = datetime(2026, 3, 1, 12, tzinfo=timezone(timedelta(hours=5, minutes=30)))
    assert timestamp(here).ToDatetime(UTC) == datetime(2026, 3, 1, 6, 30, tzinfo=UTC)


def test_less_than_a_microsecond_is_cut_off() -> None:
    """Neither the store nor Python keeps it."""
    assert time_of(Timestamp(seconds=1, nanos=1_999)) == datetime(1970, 1, 1, 0, 0, 1, 1, tzinfo=UTC)


def test_the_bound_of_a_stretch_is_rounded_up() -> None:
    """What is kept has microseconds: what came half a microsecond before a bound is not behind it."""
    second = datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC)
    assert bound_of(Timestamp(seconds=1)) == second
    assert bound_of(Timestamp(seconds=1, nanos=500)) == second + timedelta(microseconds=1)
    last = datetime.max.replace(tzinfo=UTC)
    assert bound_of(Timestamp(seconds=253_402_300_799, nanos=999_999_999)) == last

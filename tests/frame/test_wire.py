"""Times on the wire."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import given, settings
from hypothesis import strategies as st

from server.frame.errors import FieldInvalid
from server.frame.wire import time_of, timestamp


@settings(max_examples=100)
@given(st.datetimes(timezones=st.timezones()))
def test_a_time_is_read_back_as_it_was_sent(time: datetime) -> None:
    """To the microsecond, and in UTC whatever zone it came from."""
    try:
        expected = time.astimezone(UTC)
    except OverflowError:
        return  # the moment lies before the year 1 or after 9999
    assert time_of(timestamp(expected), "time") == expected


def test_a_time_of_another_zone_is_the_same_moment() -> None:
    """Zones do not stand on the wire."""
    here = datetime(2026, 3, 1, 12, tzinfo=timezone(timedelta(hours=5, minutes=30)))
    assert timestamp(here).ToDatetime(UTC) == datetime(2026, 3, 1, 6, 30, tzinfo=UTC)


def test_less_than_a_microsecond_is_cut_off() -> None:
    """Neither the store nor Python keeps it."""
    assert time_of(Timestamp(seconds=1, nanos=1_999), "time") == datetime(1970, 1, 1, 0, 0, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    "stamp",
    [
        Timestamp(seconds=-62_135_596_801),
        Timestamp(seconds=253_402_300_800),
        Timestamp(seconds=2**63 - 1),
        Timestamp(seconds=-(2**63)),
        Timestamp(nanos=-1),
        Timestamp(nanos=1_000_000_000),
        Timestamp(nanos=2**31 - 1),
    ],
)
def test_a_time_out_of_bounds_is_named_by_its_field(stamp: Timestamp) -> None:
    """Before the year 1, after 9999, or with fractions that are none."""
    with pytest.raises(FieldInvalid) as raised:
        time_of(stamp, "order.place_time")
    assert [violation.path for violation in raised.value.fields] == ["order.place_time"]

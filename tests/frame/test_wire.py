"""Times, enums and ids on the wire."""

from datetime import UTC, datetime, timedelta, timezone
from enum import Enum
from uuid import UUID

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import given
from hypothesis import strategies as st

from backroom.commerce.v1.order_service_pb2 import ListOrdersRequest
from backroom.identity.v1 import audit_pb2
from server.frame.wire import EnumNames, bound_of, id_text, optional_uuid, period_of, time_of, timestamp
from tests.fixtures.examples import examples


@examples(100)
@given(st.datetimes(timezones=st.timezones()))
def test_a_time_is_read_back_as_it_was_sent(time: datetime) -> None:
    """To the microsecond, and in UTC whatever zone it came from."""
    try:
        expected = time.astimezone(UTC)
    except OverflowError:
        return  # the time is before the year 1 or after 9999
    assert time_of(Timestamp(**timestamp(expected))) == expected


def test_a_time_of_another_zone_is_the_same_moment() -> None:
    """The wire has no zones."""
    here = datetime(2026, 3, 1, 12, tzinfo=timezone(timedelta(hours=5, minutes=30)))
    assert Timestamp(**timestamp(here)).ToDatetime(UTC) == datetime(2026, 3, 1, 6, 30, tzinfo=UTC)


def test_fractions_of_a_microsecond_are_truncated() -> None:
    """Neither the store nor Python keeps them."""
    assert time_of(Timestamp(seconds=1, nanos=1_999)) == datetime(1970, 1, 1, 0, 0, 1, 1, tzinfo=UTC)


def test_the_bounds_of_a_period_are_rounded_up() -> None:
    """Stored times have microseconds: an event half a microsecond before a bound is not after it."""
    second = datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC)
    assert bound_of(Timestamp(seconds=1)) == second
    assert bound_of(Timestamp(seconds=1, nanos=500)) == second + timedelta(microseconds=1)
    last = datetime.max.replace(tzinfo=UTC)
    assert bound_of(Timestamp(seconds=253_402_300_799, nanos=999_999_999)) == last


@given(st.uuids())
def test_an_id_is_sent_as_its_canonical_text(name: UUID) -> None:
    """And none as no text."""
    assert id_text(name) == str(name)
    assert id_text(None) == ""


class Fault(Enum):
    """As the contract's AuditFault.Kind names them."""

    ALTERED = "altered"
    MISSING = "missing"
    FOREIGN = "foreign"
    BROKEN = "broken"


def test_an_enum_is_mapped_by_name_there_and_back() -> None:
    """Whatever prefix the contract's values have; UNSPECIFIED is None."""
    faults = EnumNames(Fault, audit_pb2.AuditFault.Kind)
    assert faults.wire(Fault.FOREIGN) == audit_pb2.AuditFault.KIND_FOREIGN
    assert [faults.member(faults.wire(each)) for each in Fault] == list(Fault)
    assert faults.find(audit_pb2.AuditFault.KIND_BROKEN) is Fault.BROKEN
    assert faults.find(audit_pb2.AuditFault.KIND_UNSPECIFIED) is None


class Fewer(Enum):
    ALTERED = "altered"
    MISSING = "missing"
    FOREIGN = "foreign"


class Others(Enum):
    ALTERED = "altered"
    MISSING = "missing"
    FOREIGN = "foreign"
    BROKEN = "broken"
    STOLEN = "stolen"


@pytest.mark.parametrize(("members", "differing"), [(Fewer, "BROKEN"), (Others, "STOLEN")])
def test_differing_enums_are_found_at_import(members: type[Enum], differing: str) -> None:
    """Otherwise the first call with a value that only one of them has would find it."""
    with pytest.raises(ValueError, match=differing):
        EnumNames(members, audit_pb2.AuditFault.Kind)


def test_a_period_has_the_ends_that_are_given() -> None:
    """Either may be missing; both are rounded up to the microsecond."""
    assert period_of(ListOrdersRequest()) == (None, None)
    start = Timestamp(seconds=1, nanos=1)
    assert period_of(ListOrdersRequest(start_time=start)) == (datetime(1970, 1, 1, 0, 0, 1, 1, tzinfo=UTC), None)
    assert period_of(ListOrdersRequest(end_time=start)) == (None, datetime(1970, 1, 1, 0, 0, 1, 1, tzinfo=UTC))


def test_an_id_that_is_not_given_is_none() -> None:
    """The contract's rule of the same name accepts it."""
    assert optional_uuid("") is None
    assert optional_uuid(str(UUID(int=7))) == UUID(int=7)

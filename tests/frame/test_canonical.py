"""Ids in canonical form, and valid times."""

from uuid import UUID

import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from backroom.commerce.v1 import order_service_pb2
from backroom.identity.v1 import access_service_pb2, accounts_pb2
from server.frame.canonical import canonicalized, same_id

ID = "0198C2D8-9A31-7CC0-A5A5-0B8A3F0C1A11"


def test_a_uuid_in_capitals_is_converted_to_lower_case() -> None:
    """At any depth, in every field whose name says that it is an id."""
    order = order_service_pb2.PlaceOrderRequest(request_id=ID, customer_id=ID, reference=ID)
    request = order_service_pb2.PlaceOrdersRequest(order=order)
    assert canonicalized(request) == []
    assert (request.order.request_id, request.order.customer_id) == (str(UUID(ID)), str(UUID(ID)))
    assert request.order.reference == ID


@pytest.mark.parametrize("text", ["", "17850", "ADA", ID.replace("-", ""), f"{ID}0", f"{{{ID}}}"])
def test_an_id_that_is_no_uuid_is_not_changed(text: str) -> None:
    """A customer's id may come from another system, in which case matters."""
    assert same_id(text) == text


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
def test_a_malformed_time_is_named_by_its_path(stamp: Timestamp) -> None:
    """Before the year 1, after 9999, or with invalid fractions."""
    request = access_service_pb2.CreateKeyRequest(key=accounts_pb2.Key(expire_time=stamp))
    assert [each.path for each in canonicalized(request)] == ["key.expire_time"]


@pytest.mark.parametrize(
    "duration",
    [
        Duration(seconds=1, nanos=-1),
        Duration(seconds=-1, nanos=1),
        Duration(nanos=1_000_000_000),
        Duration(seconds=315_576_000_001),
        Duration(seconds=-(2**63)),
    ],
)
def test_a_malformed_duration_is_named_by_its_path(duration: Duration) -> None:
    """Mixed signs, a fraction of more than a second, or more than 10,000 years."""
    request = order_service_pb2.PlaceOrderRequest(hold_duration=duration)
    assert [each.path for each in canonicalized(request)] == ["hold_duration"]


@pytest.mark.parametrize("stamp", [Timestamp(), Timestamp(seconds=-62_135_596_800), Timestamp(nanos=999_999_999)])
def test_a_time_within_bounds_is_accepted(stamp: Timestamp) -> None:
    """From the first moment of the year 1 on."""
    request = order_service_pb2.ListOrdersRequest(start_time=stamp)
    assert canonicalized(request) == []

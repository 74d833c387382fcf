from datetime import timedelta

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from google.rpc import error_details_pb2, status_pb2

from backroom.commerce.v1.order_service_pb2 import PlaceOrderRequest
from backroom_client import FieldViolation, PreconditionViolation, Refusal, refusal_from, refusal_of
from tests.client.played import PLACE_ORDER, Played, refusal

FIELDS = error_details_pb2.BadRequest(
    field_violations=[error_details_pb2.BadRequest.FieldViolation(field="lines[1].sku", description="is empty")]
)
STOCK = error_details_pb2.PreconditionFailure(
    violations=[
        error_details_pb2.PreconditionFailure.Violation(type="OUT_OF_STOCK", subject="85123A", description="5 of 6")
    ]
)
RETRY = error_details_pb2.RetryInfo(retry_delay=Duration(seconds=1, nanos=500_000_000))


def test_a_refused_call_is_read_into_one_value() -> None:
    """Code, reason, message and metadata come from the status in the error."""
    server = Played(None)
    call = server.start(lambda: server.client.orders.PlaceOrder(PlaceOrderRequest()))
    server.refuse(PLACE_ORDER, refusal(grpc.StatusCode.FAILED_PRECONDITION, "OUT_OF_STOCK", STOCK))
    with pytest.raises(grpc.RpcError) as raised:
        call.result(5)
    assert refusal_of(raised.value) == Refusal(
        code=grpc.StatusCode.FAILED_PRECONDITION,
        reason="OUT_OF_STOCK",
        message="refused: OUT_OF_STOCK",
        metadata={"of": "it"},
        preconditions=(PreconditionViolation("OUT_OF_STOCK", "85123A", "5 of 6"),),
    )


def test_a_failure_without_details_is_no_refusal() -> None:
    """If no server was reached there is a code, and no reason."""
    server = Played(None)
    call = server.start(lambda: server.client.orders.PlaceOrder(PlaceOrderRequest()))
    _, _, taken = server.take(PLACE_ORDER)
    taken.terminate(None, (), grpc.StatusCode.UNAVAILABLE, "connection refused")
    with pytest.raises(grpc.RpcError) as raised:
        call.result(5)
    assert refusal_of(raised.value) is None


@pytest.mark.parametrize(
    ("code", "domain"), [(grpc.StatusCode.ABORTED, "elsewhere"), (grpc.StatusCode.NOT_FOUND, "backroom")]
)
def test_a_status_that_is_not_ours_or_contradicts_the_call_is_no_refusal(code: grpc.StatusCode, domain: str) -> None:
    """An intermediary may answer instead of the server."""
    server = Played(None)
    call = server.start(lambda: server.client.orders.PlaceOrder(PlaceOrderRequest()))
    _, _, taken = server.take(PLACE_ORDER)
    status = refusal(code, "ODD", domain=domain)
    trailer = (("grpc-status-details-bin", status.SerializeToString()),)
    taken.terminate(None, trailer, grpc.StatusCode.ABORTED, status.message)
    with pytest.raises(grpc.RpcError) as raised:
        call.result(5)
    assert refusal_of(raised.value) is None


def test_every_detail_of_a_status_is_read() -> None:
    """A status inside a message is read like one that ends a call."""
    read = refusal_from(refusal(grpc.StatusCode.ABORTED, "CONTENTION", FIELDS, STOCK, RETRY))
    assert read.code is grpc.StatusCode.ABORTED
    assert read.fields == (FieldViolation("lines[1].sku", "is empty"),)
    assert read.preconditions == (PreconditionViolation("OUT_OF_STOCK", "85123A", "5 of 6"),)
    assert read.retry_delay == timedelta(seconds=1.5)


def test_a_status_of_another_domain_has_no_reason() -> None:
    """Its message is kept, but programs should not branch on it."""
    read = refusal_from(refusal(grpc.StatusCode.ABORTED, "CONTENTION", domain="elsewhere"))
    assert (read.reason, read.message, read.metadata) == ("", "refused: CONTENTION", {})


def test_an_unknown_code_is_read_as_unknown() -> None:
    """A status is external data, and may hold any number."""
    assert refusal_from(status_pb2.Status(code=4711)).code is grpc.StatusCode.UNKNOWN

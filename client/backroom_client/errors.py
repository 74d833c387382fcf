"""What a refused call says, as one plain value."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

import grpc
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status

DOMAIN = "backroom"

_CODES: Mapping[int, grpc.StatusCode] = {code.value[0]: code for code in grpc.StatusCode}


@dataclass(frozen=True, slots=True)
class FieldViolation:
    """One field of a request that is out of its bounds."""

    field: str
    """Its path in the request, such as "lines[1].sku"."""
    description: str


@dataclass(frozen=True, slots=True)
class PreconditionViolation:
    """One thing that prevents the call, such as a product that is out of stock."""

    type: str
    subject: str
    description: str


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why Backroom refused a call; `reason` is what to branch on."""

    code: grpc.StatusCode
    reason: str
    """A value's name of one of the contract's Reason enums without the prefix, such as "OUT_OF_STOCK"."""
    message: str
    """For people; its words may change."""
    metadata: Mapping[str, str]
    fields: tuple[FieldViolation, ...] = ()
    preconditions: tuple[PreconditionViolation, ...] = ()
    retry_delay: timedelta | None = None
    """How long to wait before trying again; None where trying the same call again will not help."""


def refusal_of(error: grpc.RpcError) -> Refusal | None:
    """Reads a failed call's refusal, of either flavour of gRPC.

    None where the error is not one of Backroom's: no server was reached, or something in between answered.
    """
    try:
        # Both flavours' errors have a call's code, details and trailing metadata.
        status = rpc_status.from_call(error)  # type: ignore[arg-type]  # the stubs know one flavour
    except ValueError:
        # The rich status contradicts the plain one, as after a proxy's own error.
        return None
    if status is None:
        return None
    refusal = refusal_from(status)
    return refusal if refusal.reason else None


def refusal_from(status: status_pb2.Status) -> Refusal:
    """Reads a status that came inside a message, such as PlaceOrdersResponse.refusal.

    The reason is empty where the status is not one of Backroom's.
    """
    info = error_details_pb2.ErrorInfo()
    bad_request = error_details_pb2.BadRequest()
    precondition = error_details_pb2.PreconditionFailure()
    retry = error_details_pb2.RetryInfo()
    has_retry = False
    for detail in status.details:
        has_retry |= detail.Unpack(retry)
        if not detail.Unpack(info) and not detail.Unpack(bad_request):
            detail.Unpack(precondition)
    ours = info.domain == DOMAIN
    return Refusal(
        code=_CODES.get(status.code, grpc.StatusCode.UNKNOWN),
        reason=info.reason if ours else "",
        message=status.message,
        metadata=dict(info.metadata) if ours else {},
        fields=tuple(FieldViolation(each.field, each.description) for each in bad_request.field_violations),
        preconditions=tuple(
            PreconditionViolation(each.type, each.subject, each.description) for each in precondition.violations
        ),
        retry_delay=retry.retry_delay.ToTimedelta() if has_retry else None,
    )

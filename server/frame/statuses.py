"""Refusals on the wire: google.rpc.Status with the details that a machine can read."""

from google.protobuf import any_pb2, duration_pb2
from google.protobuf.message import Message
from google.rpc import code_pb2, error_details_pb2, status_pb2

from server.frame.errors import Contention, DatabaseUnavailable, DeadlineExceeded, Refusal
from storage.errors import StoreContention, StoreError, StoreTimeout

DOMAIN = "backroom"

_DETAIL_BYTES = 3000
"""What names fields or subjects ends here: clients take 8 KiB of metadata for sure, in which a detail is base64."""


def status_of(refusal: Refusal) -> status_pb2.Status:
    """The refusal as a status: its code, its message, and what its details say."""
    status = status_pb2.Status(code=code_pb2.Code.Value(refusal.code.value), message=refusal.message())
    for detail in _details(refusal):
        packed = any_pb2.Any()
        packed.Pack(detail)
        status.details.append(packed)
    return status


def refusal_of(error: StoreError) -> Refusal:
    """What the caller is told when the store is in trouble."""
    if isinstance(error, StoreContention):
        return Contention()
    if isinstance(error, StoreTimeout):
        return DeadlineExceeded()
    return DatabaseUnavailable()


def _details(refusal: Refusal) -> list[Message]:
    info = error_details_pb2.ErrorInfo(reason=refusal.reason, domain=DOMAIN, metadata=refusal.metadata)
    details: list[Message] = [info]
    if refusal.fields:
        bad = error_details_pb2.BadRequest()
        for field in refusal.fields:
            bad.field_violations.add(field=field.path, description=field.description, reason=field.rule)
            if bad.ByteSize() > _DETAIL_BYTES:
                break
        details.append(bad)
    if refusal.preconditions:
        failure = error_details_pb2.PreconditionFailure()
        for violation in refusal.preconditions:
            failure.violations.add(type=violation.kind, subject=violation.subject, description=violation.description)
            if failure.ByteSize() > _DETAIL_BYTES:
                break
        details.append(failure)
    if refusal.retry_after is not None:
        delay = duration_pb2.Duration()
        delay.FromMicroseconds(int(refusal.retry_after * 1_000_000))
        details.append(error_details_pb2.RetryInfo(retry_delay=delay))
    return details

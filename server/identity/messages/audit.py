from collections.abc import Sequence

from backroom.identity.v1 import audit_pb2, audit_service_pb2
from server.frame.canonical import same_id
from server.frame.errors import FieldInvalid
from server.frame.wire import EnumNames, optional_uuid, period_of, timestamp
from server.identity.rules.auditing import Fault, FaultKind, Verification, limit_of
from storage.frame.records import NOBODY, AuditAnchor, AuditEvent, AuditFilter

_HASH_SIZE = 32
_KINDS = EnumNames(FaultKind, audit_pb2.AuditFault.Kind)


def audit_anchors(request: audit_service_pb2.VerifyAuditRequest) -> Sequence[AuditAnchor]:
    """One, or none where it is absent; raises FieldInvalid where it is malformed."""
    if not request.HasField("anchor"):
        return ()
    if request.anchor.position < 1:
        raise FieldInvalid.of("anchor.position", "must be at least 1")
    if len(request.anchor.hash) != _HASH_SIZE:
        raise FieldInvalid.of("anchor.hash", f"must be {_HASH_SIZE} bytes")
    return (AuditAnchor(request.anchor.position, request.anchor.hash),)


def audit_event(event: AuditEvent) -> audit_pb2.AuditEvent:
    entry = event.entry
    return audit_pb2.AuditEvent(
        sequence=event.sequence,
        create_time=timestamp(entry.create_time),
        caller_id="" if entry.caller_id == NOBODY else str(entry.caller_id),
        action=entry.action,
        resource=entry.resource,
        address=entry.address,
        call_id=entry.call_id,
        result=entry.result,
        position=event.position,
        hash=event.hash,
    )


def audit_filter(request: audit_service_pb2.ListAuditEventsRequest) -> AuditFilter:
    start_time, end_time = period_of(request)
    return AuditFilter(
        caller_id=optional_uuid(request.caller_id),
        action=request.action or None,
        resource=_resource(request.resource) or None,
        result=request.result or None,
        start_time=start_time,
        end_time=end_time,
    )


def _resource(text: str) -> str:
    """A kind and an id, such as "product/TEA" or "order/0198c2d8-…"; a UUID is brought into its one form."""
    kind, slash, name = text.partition("/")
    return f"{kind}{slash}{same_id(name)}"


def audit_limit(request: audit_service_pb2.VerifyAuditRequest) -> int:
    return limit_of(request.limit)


def audit_verification(found: Verification) -> audit_service_pb2.VerifyAuditResponse:
    return audit_service_pb2.VerifyAuditResponse(
        verified_count=found.verified,
        last_position=found.last.position,
        last_hash=found.last.hash,
        complete=found.complete,
        fault=_fault(found.fault) if found.fault else None,
    )


def _fault(fault: Fault) -> audit_pb2.AuditFault:
    return audit_pb2.AuditFault(kind=_KINDS.wire(fault.kind), position=fault.position, sequence=fault.sequence)

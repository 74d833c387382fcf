"""identity's messages to plain values, and back."""

from collections.abc import Mapping, Sequence

from backroom.identity.v1 import access_service_pb2, accounts_pb2, audit_pb2, audit_service_pb2, profiles_pb2, roles_pb2
from server.frame.canonical import same_id
from server.frame.editing import Edit, as_sent, edit_of
from server.frame.errors import FieldInvalid
from server.frame.wire import EnumNames, id_text, optional_uuid, period_of, timestamp
from server.identity.rules.auditing import Fault, FaultKind, Verification, limit_of
from server.identity.rules.roles import KnownRole, RoleDraft
from server.identity.service import SignedIn
from storage.frame.records import NOBODY, AccountDeletion, AuditAnchor, AuditEvent, AuditFilter
from storage.identity.records import Account, ApiKey, Session

_MAX_AGENT = 200
_HASH_SIZE = 32
_FAULT_KINDS = EnumNames(FaultKind, audit_pb2.AuditFault.Kind)
_EDITABLE = {**as_sent("description"), "permissions": lambda role: tuple(sorted(role.permissions))}
"""The fields of a role that an update_mask may name."""


def user(account: Account) -> accounts_pb2.User:
    return accounts_pb2.User(
        user_id=id_text(account.id),
        email=account.email or "",
        display_name=account.name,
        roles=account.roles,
        create_time=timestamp(account.create_time),
        email_verify_time=timestamp(account.verify_time),
        disable_time=timestamp(account.disable_time),
        handle=account.handle or "",
    )


def service_account(account: Account) -> accounts_pb2.ServiceAccount:
    return accounts_pb2.ServiceAccount(
        service_account_id=id_text(account.id),
        name=account.name,
        roles=account.roles,
        create_time=timestamp(account.create_time),
        disable_time=timestamp(account.disable_time),
        handle=account.handle or "",
    )


def profile(account: Account) -> profiles_pb2.Profile:
    return profiles_pb2.Profile(account_id=id_text(account.id), handle=account.handle or "", display_name=account.name)


def deletion(found: AccountDeletion) -> profiles_pb2.AccountDeletion:
    kinds = profiles_pb2.AccountDeletion
    return profiles_pb2.AccountDeletion(
        account_id=id_text(found.account_id),
        state=kinds.STATE_RUNNING if found.complete_time is None else kinds.STATE_DONE,
        requested_by=id_text(found.requested_by),
        transfer_to_account_id=str(found.transfer_to or ""),
        erased_parts=found.erased_parts,
        create_time=timestamp(found.create_time),
        complete_time=timestamp(found.complete_time),
    )


def key(found: ApiKey) -> accounts_pb2.Key:
    return accounts_pb2.Key(
        key_id=id_text(found.id),
        prefix=found.prefix,
        create_time=timestamp(found.create_time),
        expire_time=timestamp(found.expire_time),
        last_use_time=timestamp(found.last_use_time),
        service_account_id=id_text(found.account_id),
    )


def session(found: Session, *, current: bool) -> accounts_pb2.Session:
    return accounts_pb2.Session(
        session_id=id_text(found.id),
        create_time=timestamp(found.create_time),
        refresh_time=timestamp(found.refresh_time),
        expire_time=timestamp(found.expire_time),
        address=found.address,
        user_agent=found.user_agent,
        current=current,
    )


def tokens(signed_in: SignedIn) -> accounts_pb2.Tokens:
    return accounts_pb2.Tokens(
        access_token=signed_in.access_token,
        access_token_expire_time=timestamp(signed_in.access_token_expire_time),
        refresh_token=signed_in.refresh_token,
        refresh_token_expire_time=timestamp(signed_in.refresh_token_expire_time),
    )


def user_agent(metadata: Mapping[str, str | bytes]) -> str:
    """How the caller's program names itself."""
    sent = metadata.get("user-agent", "")
    return sent[:_MAX_AGENT] if isinstance(sent, str) else ""


def role(known: KnownRole) -> roles_pb2.Role:
    return roles_pb2.Role(
        name=known.name,
        description=known.description,
        permissions=known.permissions,
        built_in=known.built_in,
        etag=known.etag,
        create_time=timestamp(known.create_time),
        update_time=timestamp(known.update_time),
    )


def role_draft(message: roles_pb2.Role) -> RoleDraft:
    return RoleDraft(message.name, message.description, tuple(sorted(message.permissions)))


def role_edit(request: access_service_pb2.UpdateRoleRequest) -> Edit[str]:
    """Raises FieldInvalid where the mask names a field that cannot be changed."""
    return edit_of(request.role, request.update_mask, ("name", str), _EDITABLE)


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
        caller_id="" if entry.caller_id == NOBODY else id_text(entry.caller_id),
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
    return audit_pb2.AuditFault(kind=_FAULT_KINDS.wire(fault.kind), position=fault.position, sequence=fault.sequence)

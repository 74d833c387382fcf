"""identity, put together."""

from backroom.identity.v1 import (
    access_service_pb2,
    access_service_pb2_grpc,
    audit_service_pb2,
    audit_service_pb2_grpc,
    identity_service_pb2,
    identity_service_pb2_grpc,
)
from server.frame.module import Manifest, Module, Service, Shared
from server.identity.jobs import access_change_tasks, account_tasks, audit_tasks, mail_tasks, throttling_tasks
from server.identity.permissions import PERMISSIONS
from server.identity.rules.auditing import EVENT_TYPES
from server.identity.servicer import AccessServicer, AuditServicer, IdentityServicer
from server.identity.settings import IdentitySettings
from server.identity.use_cases import Identity
from storage.identity.store import IDENTITY


def build(shared: Shared, _: IdentitySettings) -> Module:
    """The authenticator exists already, and becomes a service here."""
    identity = shared.authentication
    assert isinstance(identity, Identity)  # noqa: S101 - which every process has, whatever it serves
    people = IdentityServicer(
        identity.accounts, identity.signing_in, identity.sessions, identity.recovery, identity.secrets
    )
    access = AccessServicer(identity.access, identity.roles, identity.api_keys)
    return Module(
        services=(
            Service(identity_service_pb2, identity_service_pb2_grpc, people),
            Service(access_service_pb2, access_service_pb2_grpc, access),
            Service(audit_service_pb2, audit_service_pb2_grpc, AuditServicer(identity.auditing)),
        ),
        tasks=(
            *access_change_tasks(shared.database.store(IDENTITY), shared.now),
            *audit_tasks(identity.auditing),
            *account_tasks(identity.accounts, identity.sessions),
            *mail_tasks(identity.mailing),
            *throttling_tasks(identity.throttling),
        ),
        background=(lambda _: identity.passwords.load(),),
        closing=(identity.shielded.close,),
    )


MANIFEST = Manifest(name="identity", build=build, permissions=PERMISSIONS, event_types=EVENT_TYPES)

"""identity, put together."""

from backroom.identity.v1 import (
    access_service_pb2,
    access_service_pb2_grpc,
    account_service_pb2,
    account_service_pb2_grpc,
    audit_service_pb2,
    audit_service_pb2_grpc,
    identity_service_pb2,
    identity_service_pb2_grpc,
)
from server.frame.module import Manifest, Module, Service, Shared
from server.frame.personal_data import DeclaredPersonalData
from server.identity.jobs import (
    access_change_tasks,
    account_tasks,
    audit_tasks,
    deleting_tasks,
    mail_tasks,
    throttling_tasks,
)
from server.identity.permissions import PERMISSIONS
from server.identity.rules import auditing, deleting
from server.identity.service import Deleting, Exporting, Handles, RefusalAudit
from server.identity.servicer import AccessServicer, AccountServicer, AuditServicer, IdentityServicer
from server.identity.settings import IdentitySettings
from server.identity.use_cases import Identity
from storage.identity.personal_data import PERSONAL_DATA
from storage.identity.store import IDENTITY


def build(shared: Shared, _: IdentitySettings) -> Module:
    """The authenticator exists already, and becomes a service here."""
    identity = shared.authentication
    assert isinstance(identity, Identity)  # noqa: S101 - which every process has, whatever it serves
    people = IdentityServicer(
        identity.accounts, identity.signing_in, identity.sessions, identity.recovery, identity.secrets
    )
    access = AccessServicer(identity.access, identity.roles, identity.api_keys)
    store, now, parts = shared.database.store(IDENTITY), shared.now, shared.personal_data
    built_in, refusals = identity.built_in, RefusalAudit(store, identity.shielded)
    ending = Deleting(store, identity.passwords, identity.throttling, built_in, refusals, identity.shielded, parts, now)
    handles = Handles(store, identity.keys, built_in, refusals, now)
    accounts = AccountServicer(handles, ending, Exporting(store, built_in, refusals, parts, now), identity.secrets)
    return Module(
        services=(
            Service(identity_service_pb2, identity_service_pb2_grpc, people),
            Service(access_service_pb2, access_service_pb2_grpc, access),
            Service(account_service_pb2, account_service_pb2_grpc, accounts),
            Service(audit_service_pb2, audit_service_pb2_grpc, AuditServicer(identity.auditing)),
        ),
        tasks=(
            *access_change_tasks(store, now),
            *audit_tasks(identity.auditing),
            *account_tasks(identity.accounts, identity.sessions),
            *deleting_tasks(ending),
            *mail_tasks(identity.mailing),
            *throttling_tasks(identity.throttling),
        ),
        background=(lambda _: identity.passwords.load(),),
        closing=(identity.shielded.close,),
    )


MANIFEST = Manifest(
    name="identity",
    build=build,
    permissions=PERMISSIONS,
    event_types={**auditing.EVENT_TYPES, **deleting.EVENT_TYPES},
    personal_data=lambda database: DeclaredPersonalData(database.store(IDENTITY), PERSONAL_DATA),
)

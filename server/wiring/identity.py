from dataclasses import dataclass

import uuid_utils.compat

from backroom.identity.v1 import (
    access_service_pb2,
    access_service_pb2_grpc,
    audit_service_pb2,
    audit_service_pb2_grpc,
    identity_service_pb2,
    identity_service_pb2_grpc,
)
from server.frame.sealing import MasterKeys
from server.identity.keys import KeyRing
from server.identity.passwords import Passwords
from server.identity.secrets import Secrets
from server.identity.service import (
    AccessControl,
    Accounts,
    ApiKeys,
    Auditing,
    Recovery,
    Roles,
    Sessions,
    SigningIn,
)
from server.identity.servicer import AccessServicer, AuditServicer, IdentityServicer
from server.identity.tokens import AccessTokens
from server.wiring.parts import Clock, NewId, Part, Service, now
from storage.database import Database


@dataclass(frozen=True)
class Identity:
    """The use cases of identity, for the servicers and for the commands that run beside a server."""

    keys: KeyRing
    passwords: Passwords
    tokens: AccessTokens
    secrets: Secrets
    accounts: Accounts
    signing_in: SigningIn
    sessions: Sessions
    recovery: Recovery
    access: AccessControl
    roles: Roles
    api_keys: ApiKeys
    auditing: Auditing


def build_identity(
    database: Database, master_keys: MasterKeys, now: Clock = now, new_id: NewId = uuid_utils.compat.uuid7
) -> Identity:
    keys = KeyRing(database, now)
    passwords = Passwords()
    tokens = AccessTokens(keys, now)
    secrets = Secrets(keys)
    return Identity(
        keys=keys,
        passwords=passwords,
        tokens=tokens,
        secrets=secrets,
        accounts=Accounts(database, passwords, now, new_id),
        signing_in=SigningIn(database, passwords, tokens, secrets, now, new_id),
        sessions=Sessions(database, tokens, secrets, now, new_id),
        recovery=Recovery(database, passwords, now, new_id),
        access=AccessControl(database, now),
        roles=Roles(database, now),
        api_keys=ApiKeys(database, tokens, secrets, now, new_id),
        auditing=Auditing(database),
    )


def identity_part(identity: Identity) -> Part:
    services = (
        Service(
            identity_service_pb2.DESCRIPTOR.services_by_name["IdentityService"],
            identity_service_pb2_grpc.add_IdentityServiceServicer_to_server,
            IdentityServicer(
                identity.accounts, identity.signing_in, identity.sessions, identity.recovery, identity.secrets
            ),
        ),
        Service(
            access_service_pb2.DESCRIPTOR.services_by_name["AccessService"],
            access_service_pb2_grpc.add_AccessServiceServicer_to_server,
            AccessServicer(identity.access, identity.roles, identity.api_keys),
        ),
        Service(
            audit_service_pb2.DESCRIPTOR.services_by_name["AuditService"],
            audit_service_pb2_grpc.add_AuditServiceServicer_to_server,
            AuditServicer(identity.auditing),
        ),
    )
    return Part(services)

from dataclasses import dataclass

import uuid_utils.compat

from backroom.identity.v1 import (
    access_service_pb2,
    access_service_pb2_grpc,
    identity_service_pb2,
    identity_service_pb2_grpc,
)
from server.identity.keys import KeyRing
from server.identity.passwords import Passwords
from server.identity.service import AccessControl, Accounts, Sessions
from server.identity.servicer import AccessServicer, IdentityServicer
from server.identity.tokens import AccessTokens, Secrets
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
    sessions: Sessions
    access: AccessControl


def build_identity(database: Database, now: Clock = now, new_id: NewId = uuid_utils.compat.uuid7) -> Identity:
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
        sessions=Sessions(database, passwords, tokens, secrets, now, new_id),
        access=AccessControl(database, secrets, now, new_id),
    )


def identity_part(identity: Identity) -> Part:
    services = (
        Service(
            identity_service_pb2.DESCRIPTOR.services_by_name["IdentityService"],
            identity_service_pb2_grpc.add_IdentityServiceServicer_to_server,
            IdentityServicer(identity.accounts, identity.sessions, identity.secrets),
        ),
        Service(
            access_service_pb2.DESCRIPTOR.services_by_name["AccessService"],
            access_service_pb2_grpc.add_AccessServiceServicer_to_server,
            AccessServicer(identity.access, identity.sessions),
        ),
    )
    return Part(services)

from dataclasses import dataclass
from pathlib import Path

import structlog
import uuid_utils.compat

from backroom.identity.v1 import (
    access_service_pb2,
    access_service_pb2_grpc,
    audit_service_pb2,
    audit_service_pb2_grpc,
    identity_service_pb2,
    identity_service_pb2_grpc,
)
from server.frame.finishing import Finishing
from server.frame.sealing import MasterKeys
from server.identity.credentials.devices import Devices
from server.identity.credentials.keys import KeyRing
from server.identity.credentials.passwords import Passwords
from server.identity.credentials.secrets import Secrets
from server.identity.credentials.standing import Standings
from server.identity.credentials.tokens import AccessTokens
from server.identity.jobs import account_tasks, audit_tasks, mail_tasks, standing_tasks, throttling_tasks
from server.identity.outbox import Outbox
from server.identity.outbox.local import LogOutbox
from server.identity.service import (
    AccessControl,
    Accounts,
    ApiKeys,
    Auditing,
    KeyRotation,
    Mailing,
    Recovery,
    Refusals,
    Roles,
    Sessions,
    SigningIn,
    Throttling,
)
from server.identity.service.anchoring import AnchorFile
from server.identity.servicer import AccessServicer, AuditServicer, IdentityServicer
from server.settings import LOCAL_ISSUER
from server.wiring.parts import Clock, NewId, Part, Service, now
from storage.database import Database
from storage.identity.store import IDENTITY


@dataclass(frozen=True)
class Mail:
    """How people are told things by mail."""

    outbox: Outbox | None = None
    """None means that a line in the log stands for each mail."""
    link: str = ""
    """A page of the product's own, with "{token}" in its URL; empty where a mail holds the bare token."""


@dataclass(frozen=True)
class Identity:
    """The use cases of identity, for the servicers and for the commands that run beside a server."""

    finishing: Finishing
    keys: KeyRing
    passwords: Passwords
    tokens: AccessTokens
    standings: Standings
    secrets: Secrets
    accounts: Accounts
    signing_in: SigningIn
    sessions: Sessions
    recovery: Recovery
    throttling: Throttling
    mailing: Mailing
    access: AccessControl
    roles: Roles
    api_keys: ApiKeys
    key_rotation: KeyRotation
    auditing: Auditing


def build_identity(
    database: Database,
    master_keys: MasterKeys,
    now: Clock = now,
    new_id: NewId = uuid_utils.compat.uuid7,
    *,
    issuer: str = LOCAL_ISSUER,
    mail: Mail = Mail(),
    anchor_file: Path | None = None,
    logger: structlog.typing.FilteringBoundLogger | None = None,
    passwords: Passwords | None = None,
) -> Identity:
    """The record's anchors are kept in `anchor_file`, where one is given.

    `passwords` hashes by other parameters than those of every deployment; it is closed with the application.
    """
    store = database.store(IDENTITY)
    keys = KeyRing(store, master_keys, now)
    passwords = passwords or Passwords()
    tokens = AccessTokens(keys, now, issuer)
    secrets = Secrets(keys)
    devices = Devices(keys, now, new_id)
    finishing = Finishing()
    refusals = Refusals(store, finishing)
    throttling = Throttling(store, keys, now)
    log = logger or structlog.get_logger()
    outbox = mail.outbox or LogOutbox(log)
    mailing = Mailing(store, master_keys, throttling, outbox, mail.link, log, now, new_id)
    return Identity(
        finishing=finishing,
        keys=keys,
        passwords=passwords,
        tokens=tokens,
        standings=Standings(store, keys, tokens, now),
        secrets=secrets,
        accounts=Accounts(store, passwords, throttling, mailing, devices, finishing, now, new_id),
        signing_in=SigningIn(store, passwords, throttling, tokens, secrets, devices, finishing, now, new_id),
        sessions=Sessions(store, tokens, secrets, now),
        recovery=Recovery(store, passwords, throttling, mailing, devices, now),
        throttling=throttling,
        mailing=mailing,
        access=AccessControl(store, refusals, now),
        roles=Roles(store, refusals, now),
        api_keys=ApiKeys(store, tokens, secrets, throttling, refusals, finishing, now, new_id),
        key_rotation=KeyRotation(store, master_keys, now),
        auditing=Auditing(
            store,
            master_keys.audit_keys,
            master_keys.audit_key,
            now,
            AnchorFile(anchor_file).keep if anchor_file else None,
        ),
    )


def identity_part(identity: Identity, database: Database, now: Clock) -> Part:
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
    tasks = (
        *standing_tasks(database.store(IDENTITY), now),
        *audit_tasks(identity.auditing),
        *account_tasks(identity.accounts, identity.sessions),
        *mail_tasks(identity.mailing),
        *throttling_tasks(identity.throttling),
    )
    return Part(services, tasks, closing=(identity.finishing.close,))

"""identity's use cases, put together: every process lets callers in by them, whatever it serves."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import structlog
import uuid_utils.compat

from server.frame.addresses import LOCAL_ISSUER
from server.frame.caller import Caller
from server.frame.module import Clock, NewId, now
from server.frame.permissions import Permission
from server.frame.sealing import MasterKeys
from server.frame.shielding import ShieldedTasks
from server.identity.credentials.access_cache import AccessCache
from server.identity.credentials.devices import Devices
from server.identity.credentials.keys import KeyRing
from server.identity.credentials.passwords import Passwords
from server.identity.credentials.secrets import Secrets
from server.identity.credentials.tokens import AccessTokens
from server.identity.outbox.configured import Mail
from server.identity.outbox.local import LogOutbox
from server.identity.rules.roles import BuiltInRoles
from server.identity.service import (
    AccessControl,
    Accounts,
    ApiKeys,
    Auditing,
    KeyRotation,
    Mailing,
    Recovery,
    RefusalAudit,
    Roles,
    Sessions,
    ShownKeys,
    SigningIn,
    Throttling,
)
from server.identity.service.anchoring import AnchorFile
from storage.frame.records import ChangeContext
from storage.identity.store import IdentityStore


@dataclass(frozen=True)
class Identity:
    """The use cases of identity, for the servicers and for the commands that run next to a server."""

    shielded: ShieldedTasks
    keys: KeyRing
    passwords: Passwords
    tokens: AccessTokens
    access_cache: AccessCache
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
    shown_keys: ShownKeys
    key_rotation: KeyRotation
    auditing: Auditing
    built_in: BuiltInRoles

    async def permissions_of(self, account_id: UUID) -> frozenset[str] | None:
        return await self.access_cache.permissions_of(account_id)

    async def caller_with(self, credential: str, context: ChangeContext, *, while_away: bool = False) -> Caller:
        return await self.shown_keys.caller_with(credential, context, while_away=while_away)

    async def caller_behind(self, account_id: UUID, issued_for: UUID, *, while_away: bool = False) -> Caller:
        return await self.access_cache.caller_behind(account_id, issued_for, while_away=while_away)

    async def changed(self, caller: Caller) -> Caller:
        return await self.access_cache.changed(caller)


def build_identity(
    store: IdentityStore,
    master_keys: MasterKeys,
    permissions: Sequence[Permission],
    now: Clock = now,
    new_id: NewId = uuid_utils.compat.uuid7,
    *,
    issuer: str = LOCAL_ISSUER,
    mail: Mail = Mail(),  # noqa: B008 - it is frozen
    anchor_file: Path | None = None,
    logger: structlog.typing.FilteringBoundLogger | None = None,
    passwords: Passwords | None = None,
) -> Identity:
    """`permissions` are those of all modules; the record's anchors are kept in `anchor_file`, where one is given.

    `passwords` hashes by other parameters than those of every deployment; it is closed with the application.
    """
    built_in = BuiltInRoles(permissions)
    keys = KeyRing(store, master_keys, now)
    passwords = passwords or Passwords()
    tokens = AccessTokens(keys, now, issuer)
    secrets = Secrets(keys)
    devices = Devices(keys, now, new_id)
    shielded = ShieldedTasks()
    refusals = RefusalAudit(store, shielded)
    throttling = Throttling(store, keys, now)
    log = logger or structlog.get_logger()
    outbox = mail.outbox or LogOutbox(log)
    access_cache = AccessCache(store, keys, tokens, built_in, now)
    api_keys = ApiKeys(store, tokens, secrets, throttling, refusals, built_in, shielded, now, new_id)
    mailing = Mailing(store, master_keys, throttling, outbox, mail.link, log, now, new_id)
    return Identity(
        shielded=shielded,
        keys=keys,
        passwords=passwords,
        tokens=tokens,
        access_cache=access_cache,
        secrets=secrets,
        accounts=Accounts(store, passwords, throttling, mailing, devices, shielded, built_in, now, new_id),
        signing_in=SigningIn(store, passwords, throttling, tokens, secrets, devices, shielded, now, new_id),
        sessions=Sessions(store, tokens, secrets, now),
        recovery=Recovery(store, passwords, throttling, mailing, devices, now),
        throttling=throttling,
        mailing=mailing,
        access=AccessControl(store, refusals, built_in, now),
        roles=Roles(store, refusals, built_in, now),
        api_keys=api_keys,
        shown_keys=ShownKeys(api_keys, access_cache),
        built_in=built_in,
        key_rotation=KeyRotation(store, master_keys, now),
        auditing=Auditing(
            store,
            master_keys.audit_keys,
            master_keys.audit_key,
            now,
            AnchorFile(anchor_file).keep if anchor_file else None,
        ),
    )

import hashlib
import hmac
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from datetime import datetime
from uuid import UUID

from server.frame.caller import Caller
from server.frame.repeating import once
from server.identity.credentials.keys import KeyRing
from server.identity.errors import AccountNotFound, HandleTaken, ProfileNotFound
from server.identity.rules import handles as rules
from server.identity.rules.roles import BuiltInRoles
from server.identity.service.account_rights import account_for
from server.identity.service.answers import ACCOUNT
from server.identity.service.granting import require_permissions_of
from server.identity.service.refusal_audit import RefusalAudit
from storage.frame.records import ChangeContext
from storage.identity.records import Account
from storage.identity.store import IdentityStore, IdentityTransaction

MANAGE = "accounts.manage"


class Handles:
    """What accounts are called by others.

    A handle belongs to the first account that takes it, also once that has another one or is deleted: whoever follows
    an old link finds the same account or none, and never somebody else who took the name. What it was is kept as a
    keyed hash alone, so that a deleted account's handle can be compared, and not read.
    """

    def __init__(
        self,
        store: IdentityStore,
        keys: KeyRing,
        built_in: BuiltInRoles,
        refusal_audit: RefusalAudit,
        now: Callable[[], datetime],
    ) -> None:
        self._store = store
        self._keys = keys
        self._built_in = built_in
        self._refusal_audit = refusal_audit
        self._now = now

    async def set(self, caller: Caller, account_id: UUID | None, handle: str, context: ChangeContext) -> Account:
        """Raises AccountNotPermitted, HandleReserved, AccountNotFound, PermissionNotHeld, HandleTaken, TooManyHandles.

        What an administrator is refused is recorded; what anybody tries for itself would fill the record.
        """
        owner = account_for(caller, account_id, MANAGE, permitted=caller.may("accounts.manage"))
        wanted = rules.normal_handle(handle)
        hashed, other = await self._hash(wanted), owner != caller.account_id

        async def act(tx: IdentityTransaction) -> Account:
            rules.require_free_to_choose(wanted)
            account = await tx.accounts.lock(owner)
            if account is None:
                raise AccountNotFound(account_id=str(owner))
            if other:
                await require_permissions_of(tx, self._built_in, caller, account)
            if await tx.handles.take(hashed, owner, self._now()) != owner:
                raise HandleTaken
            rules.require_room(await tx.handles.count(owner))
            await tx.accounts.set_handle(owner, wanted)
            return replace(account, handle=wanted)

        async with self._refusal_audit.recorded(context, f"account/{owner}") if other else nullcontext():
            return await once(self._store, context, ACCOUNT, act, f"account/{owner}")

    async def profile(self, account_id: UUID | None, handle: str) -> Account:
        """The account of this id, or the one that has or had this handle; raises ProfileNotFound."""
        hashed = None if account_id else await self._hash(rules.normal_handle(handle))
        async with self._store.reading() as reading:
            found = await reading.handles.find(hashed) if hashed else account_id
            account = await reading.accounts.find(found) if found else None
        if account is None or account.handle is None or account.disable_time is not None:
            raise ProfileNotFound
        return account

    async def _hash(self, handle: str) -> bytes:
        return hmac.digest(await self._keys.secret("handles"), handle.encode(), hashlib.sha256)

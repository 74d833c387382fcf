from collections.abc import Callable, Sequence
from datetime import datetime
from uuid import UUID

from server.frame.answers import DONE
from server.frame.caller import Caller
from server.frame.repeating import once
from server.identity.errors import AccountNotFound
from server.identity.permissions import ADMIN
from server.identity.rules.roles import BuiltInRoles, permissions_of, require_other_admin, require_permissions
from server.identity.service.answers import ROLE_NAMES
from server.identity.service.granting import held_roles, require_permissions_of
from server.identity.service.refusal_audit import RefusalAudit
from storage.frame.records import ChangeContext
from storage.identity.records import Account
from storage.identity.store import IdentityStore, IdentityTransaction


class AccessControl:
    """Who may do what.

    Whatever changes that is told to all servers in the same transaction.
    """

    def __init__(
        self, store: IdentityStore, refusal_audit: RefusalAudit, built_in: BuiltInRoles, now: Callable[[], datetime]
    ) -> None:
        self._store = store
        self._refusal_audit = refusal_audit
        self._built_in = built_in
        self._now = now

    async def grant(self, caller: Caller, account_id: UUID, role: str, context: ChangeContext) -> Sequence[str]:
        """Grants a role, and returns all that the account has.

        Raises RoleNotFound, AccountNotFound, PermissionNotHeld.
        """

        async def act(tx: IdentityTransaction) -> tuple[str, ...]:
            permissions = permissions_of(await held_roles(tx, self._built_in, [role]))
            account = await _locked(tx, account_id)
            require_permissions(caller, permissions)
            await tx.accounts.grant(account_id, [role], self._now())
            await tx.access_changes.add([account_id], self._now())
            return tuple(sorted({*account.roles, role}))

        async with self._refusal_audit.recorded(context, f"account/{account_id}"):
            return await once(self._store, context, ROLE_NAMES, act, f"account/{account_id}")

    async def revoke(self, caller: Caller, account_id: UUID, role: str, context: ChangeContext) -> Sequence[str]:
        """Revokes a role, and returns what is left.

        Raises RoleNotFound, AccountNotFound, PermissionNotHeld, LastAdmin.
        """

        async def act(tx: IdentityTransaction) -> tuple[str, ...]:
            permissions = permissions_of(await held_roles(tx, self._built_in, [role]))
            # Before the account, as everywhere: two that lock both in another order would wait for one another.
            admins = await tx.accounts.lock_holders(ADMIN) if role == ADMIN else []
            account = await _locked(tx, account_id)
            require_permissions(caller, permissions)
            require_other_admin(account_id, admins)
            await tx.accounts.revoke(account_id, role)
            await tx.access_changes.add([account_id], self._now())
            return tuple(name for name in account.roles if name != role)

        async with self._refusal_audit.recorded(context, f"account/{account_id}"):
            return await once(self._store, context, ROLE_NAMES, act, f"account/{account_id}")

    async def list_users(
        self, *, role: str | None, after: tuple[datetime, UUID] | None, limit: int
    ) -> Sequence[Account]:
        async with self._store.reading() as reading:
            return await reading.accounts.list_people(role=role, after=after, limit=limit)

    async def list_services(self, *, after: tuple[datetime, UUID] | None, limit: int) -> Sequence[Account]:
        async with self._store.reading() as reading:
            return await reading.accounts.list_services(after=after, limit=limit)

    async def disable(self, caller: Caller, account_id: UUID, context: ChangeContext) -> None:
        """Lets an account in no more, and ends its sessions; raises AccountNotFound, PermissionNotHeld, LastAdmin."""

        async def act(tx: IdentityTransaction) -> None:
            admins = await tx.accounts.lock_holders(ADMIN)
            account = await _locked(tx, account_id)
            await require_permissions_of(tx, self._built_in, caller, account)
            require_other_admin(account_id, admins)
            if account.disable_time is None:
                await tx.accounts.set_disable_time(account_id, self._now())
            await tx.sessions.end_all(account_id, self._now())
            await tx.access_changes.add([account_id], self._now())

        async with self._refusal_audit.recorded(context, f"account/{account_id}"):
            await once(self._store, context, DONE, act, f"account/{account_id}")

    async def enable(self, caller: Caller, account_id: UUID, context: ChangeContext) -> None:
        """Lets a disabled account in again; raises AccountNotFound, PermissionNotHeld."""

        async def act(tx: IdentityTransaction) -> None:
            account = await _locked(tx, account_id)
            await require_permissions_of(tx, self._built_in, caller, account)
            await tx.accounts.set_disable_time(account_id, None)
            await tx.access_changes.add([account_id], self._now())

        async with self._refusal_audit.recorded(context, f"account/{account_id}"):
            await once(self._store, context, DONE, act, f"account/{account_id}")


async def _locked(tx: IdentityTransaction, account_id: UUID) -> Account:
    account = await tx.accounts.lock(account_id)
    if account is None:
        raise AccountNotFound(account_id=str(account_id))
    return account

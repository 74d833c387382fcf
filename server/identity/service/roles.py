from collections.abc import Callable, Sequence
from datetime import datetime

from server.frame.answers import DONE
from server.frame.caller import Caller
from server.frame.editing import Edit
from server.frame.repeating import once
from server.identity.errors import RoleExists, RoleInUse, RoleNotFound
from server.identity.rules import roles as rules
from server.identity.rules.roles import BuiltInRoles, KnownRole, RoleDraft
from server.identity.service.answers import ROLE
from server.identity.service.refusal_audit import RefusalAudit
from storage.frame.records import ChangeContext
from storage.identity.records import Role
from storage.identity.store import IdentityStore, IdentityTransaction


class Roles:
    """What may be granted."""

    def __init__(
        self, store: IdentityStore, refusal_audit: RefusalAudit, built_in: BuiltInRoles, now: Callable[[], datetime]
    ) -> None:
        self._store = store
        self._refusal_audit = refusal_audit
        self._built_in = built_in
        self._now = now

    async def create(self, caller: Caller, draft: RoleDraft, context: ChangeContext) -> KnownRole:
        """Makes a role; raises PermissionUnknown, PermissionNotHeld, RoleExists."""

        async def act(tx: IdentityTransaction) -> KnownRole:
            role = rules.drafted(self._built_in, draft, caller, self._now())
            if not await tx.roles.add(role):
                raise RoleExists(role=role.name)
            return rules.custom_role(role)

        async with self._refusal_audit.recorded(context, f"role/{draft.name}"):
            return await once(self._store, context, ROLE, act, f"role/{draft.name}")

    async def get(self, name: str) -> KnownRole:
        """Raises RoleNotFound."""
        if name in self._built_in:
            return self._built_in.get(name)
        async with self._store.reading() as reading:
            role = await reading.roles.find(name)
        if role is None:
            raise RoleNotFound(role=name)
        return rules.custom_role(role)

    async def list_by_name(self, *, after: tuple[int, str] | None, limit: int) -> Sequence[KnownRole]:
        """Behind a key of (0 for built in and 1 for made, name)."""
        built_in = [self._built_in.get(name) for name in sorted(self._built_in) if after is None or (0, name) > after]
        async with self._store.reading() as reading:
            made = await reading.roles.list_by_name(after=after[1] if after and after[0] else None, limit=limit)
        return [*built_in, *map(rules.custom_role, made)][:limit]

    async def edit(self, caller: Caller, edit: Edit[str], context: ChangeContext) -> KnownRole:
        """Changes a role, and what all who hold it may do.

        Raises RoleNotFound, RoleBuiltIn, EtagMismatch, PermissionUnknown, PermissionNotHeld.
        """

        async def act(tx: IdentityTransaction) -> KnownRole:
            before = await self._locked(tx, edit.key)
            role = rules.edited(self._built_in, before, edit, caller, self._now())
            if role is not before:
                await tx.roles.edit(role.name, role.description, role.permissions, role.update_time)
                # Whoever holds it: to ask for them would miss nobody, but cost more than to look everyone up anew.
                await tx.access_changes.add(None, self._now())
            return rules.custom_role(role)

        async with self._refusal_audit.recorded(context, f"role/{edit.key}"):
            return await once(self._store, context, ROLE, act, f"role/{edit.key}")

    async def delete(self, caller: Caller, name: str, context: ChangeContext, *, force: bool) -> None:
        """Deletes a role, with `force` from all who hold it; raises RoleNotFound, RoleBuiltIn, PermissionNotHeld.

        Raises RoleInUse where somebody holds it and `force` is not set.
        """

        async def act(tx: IdentityTransaction) -> None:
            role = await self._locked(tx, name)
            rules.require_permissions(caller, role.permissions)
            # Nobody is granted it meanwhile: who grants a role holds it just as a change does.
            if not force and await tx.roles.is_granted(name):
                raise RoleInUse(role=name)
            await tx.roles.revoke_from_all(name)
            await tx.roles.delete(name)
            await tx.access_changes.add(None, self._now())

        async with self._refusal_audit.recorded(context, f"role/{name}"):
            await once(self._store, context, DONE, act, f"role/{name}")

    async def _locked(self, tx: IdentityTransaction, name: str) -> Role:
        """The role, which nobody grants or changes meanwhile; raises RoleBuiltIn, RoleNotFound."""
        rules.require_custom(self._built_in, name)
        role = await tx.roles.lock(name)
        if role is None:
            raise RoleNotFound(role=name)
        return role

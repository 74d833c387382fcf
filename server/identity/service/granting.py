"""What roles permit, looked up in the transaction that goes by it."""

from collections.abc import Sequence

from server.frame.caller import Caller
from server.identity.rules import roles as rules
from server.identity.rules.roles import BuiltInRoles
from storage.identity.records import Account
from storage.identity.store import IdentityTransaction


async def held_roles(
    tx: IdentityTransaction, built_in: BuiltInRoles, names: Sequence[str]
) -> Sequence[rules.KnownRole]:
    """The roles of these names, which stay as they are until the transaction ends; raises RoleNotFound."""
    made = await tx.roles.lock_shared([name for name in names if name not in built_in])
    return rules.known_roles(built_in, names, made)


async def grantable(
    tx: IdentityTransaction, built_in: BuiltInRoles, caller: Caller | None, names: Sequence[str]
) -> tuple[str, ...]:
    """The names in alphabetical order; raises RoleNotFound, and PermissionNotHeld for what the caller does not hold.

    A command has no caller, and grants whatever it is told.
    """
    roles = await held_roles(tx, built_in, names)
    if caller is not None:
        rules.require_permissions(caller, rules.permissions_of(roles))
    return tuple(role.name for role in roles)


async def require_permissions_of(
    tx: IdentityTransaction, built_in: BuiltInRoles, caller: Caller, account: Account
) -> None:
    """Raises PermissionNotHeld where the account may do something that the caller may not."""
    made = await tx.roles.lock_shared([name for name in account.roles if name not in built_in])
    # A role that was granted and is no more, as of an earlier version, permits nothing.
    known = [name for name in account.roles if name in built_in or name in {role.name for role in made}]
    rules.require_permissions(caller, rules.permissions_of(rules.known_roles(built_in, known, made)))

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from server.frame.caller import Caller
from server.frame.editing import Edit, changed, check_etag, etag_of
from server.frame.permissions import Permission
from server.identity.errors import (
    LastAdmin,
    PermissionNotHeld,
    PermissionUnknown,
    RoleBuiltIn,
    RoleExists,
    RoleNotFound,
)
from server.identity.permissions import ROLES
from storage.identity.records import Role


@dataclass(frozen=True, slots=True)
class KnownRole:
    """A role, built in or made."""

    name: str
    description: str
    permissions: tuple[str, ...]
    """In alphabetical order."""
    built_in: bool
    etag: str = ""
    create_time: datetime | None = None
    update_time: datetime | None = None


@dataclass(frozen=True, slots=True)
class RoleDraft:
    """A role that is to be made."""

    name: str
    description: str
    permissions: tuple[str, ...]


class BuiltInRoles:
    """The roles that come with Backroom: each holds the permissions that name it."""

    def __init__(self, permissions: Sequence[Permission]) -> None:
        """`permissions` are those of all modules; raises ValueError where one names a role that there is not."""
        held: dict[str, set[str]] = {role: set() for role in ROLES}
        for permission in permissions:
            for role in permission.roles:
                if role not in held:
                    raise ValueError(f"{permission.name} names {role}, which is no built-in role")
                held[role].add(permission.name)
        self.permissions_by_role: Mapping[str, frozenset[str]] = {role: frozenset(held[role]) for role in ROLES}
        self.permissions = frozenset(permission.name for permission in permissions)
        """Every permission there is."""

    def __contains__(self, name: str) -> bool:
        return name in self.permissions_by_role

    def __iter__(self) -> Iterator[str]:
        return iter(self.permissions_by_role)

    def get(self, name: str) -> KnownRole:
        return KnownRole(name, ROLES[name], tuple(sorted(self.permissions_by_role[name])), built_in=True)

    def permissions_of(self, roles: Iterable[str], of_made: Iterable[str] = ()) -> frozenset[str]:
        """What these roles permit together, and the permissions of made ones with them.

        A role or a permission that no longer exists permits nothing.
        """
        held = (self.permissions_by_role.get(role, frozenset()) for role in roles)
        return frozenset[str]().union(*held) | (self.permissions & frozenset(of_made))


def known_roles(built_in: BuiltInRoles, names: Sequence[str], made: Sequence[Role]) -> Sequence[KnownRole]:
    """The roles of these names in alphabetical order, each once; raises RoleNotFound for the first that is none.

    `made` are those of them that do not come with Backroom.
    """
    found = {role.name: custom_role(role) for role in made} | {
        name: built_in.get(name) for name in names if name in built_in
    }
    for name in names:
        if name not in found:
            raise RoleNotFound(role=name)
    return [found[name] for name in sorted(set(names))]


def custom_role(role: Role) -> KnownRole:
    times = (role.create_time, role.update_time)
    return KnownRole(role.name, role.description, role.permissions, False, etag_of(role), *times)


def permissions_of(roles: Iterable[KnownRole]) -> frozenset[str]:
    """What these roles permit together."""
    return frozenset(permission for role in roles for permission in role.permissions)


def require_permissions(caller: Caller, permissions: Iterable[str]) -> None:
    """Raises PermissionNotHeld where the caller would give, change or take away what it does not hold itself."""
    migration_problem = sorted(set(permissions) - caller.permissions)
    if migration_problem:
        raise PermissionNotHeld(permission=migration_problem[0])


def require_known(built_in: BuiltInRoles, permissions: Iterable[str]) -> None:
    """Raises PermissionUnknown for the first, in alphabetical order, that nothing asks for."""
    unknown = sorted(set(permissions) - built_in.permissions)
    if unknown:
        raise PermissionUnknown(permission=unknown[0])


def drafted(built_in: BuiltInRoles, draft: RoleDraft, caller: Caller, now: datetime) -> Role:
    """The role as it is to be kept; raises PermissionUnknown, PermissionNotHeld, and RoleExists for a built-in name."""
    require_known(built_in, draft.permissions)
    require_permissions(caller, draft.permissions)
    if draft.name in built_in:
        raise RoleExists(role=draft.name)
    return Role(draft.name, draft.description, draft.permissions, 1, now, now)


def edited(built_in: BuiltInRoles, role: Role, edit: Edit[str], caller: Caller, now: datetime) -> Role:
    """The role as it is to be; raises EtagMismatch, PermissionUnknown, PermissionNotHeld."""
    check_etag(role, edit)
    permissions = edit.values.get("permissions", ())
    require_known(built_in, permissions)
    require_permissions(caller, {*role.permissions, *permissions})
    return changed(role, edit.values, now)


def require_custom(built_in: BuiltInRoles, name: str) -> None:
    """Raises RoleBuiltIn for a role that comes with Backroom."""
    if name in built_in:
        raise RoleBuiltIn(role=name)


def require_other_admin(account_id: UUID, admins: Collection[UUID]) -> None:
    """Raises LastAdmin where nobody would be left to grant roles; `admins` are those that may come in."""
    if set(admins) == {account_id}:
        raise LastAdmin

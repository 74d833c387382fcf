from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from server.frame.caller import Caller
from server.frame.editing import Edit, changed, check_etag, etag_of
from server.identity.errors import (
    LastAdmin,
    PermissionNotHeld,
    PermissionUnknown,
    RoleBuiltIn,
    RoleExists,
    RoleNotFound,
)
from server.identity.roles import DESCRIPTIONS, PERMISSIONS, ROLES
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


def known_roles(names: Sequence[str], made: Sequence[Role]) -> Sequence[KnownRole]:
    """The roles of these names in alphabetical order, each once; raises RoleNotFound for the first that is none.

    `made` are those of them that do not come with Backroom.
    """
    found = {role.name: made_role(role) for role in made} | {name: built_in(name) for name in names if name in ROLES}
    for name in names:
        if name not in found:
            raise RoleNotFound(role=name)
    return [found[name] for name in sorted(set(names))]


def built_in(name: str) -> KnownRole:
    return KnownRole(name, DESCRIPTIONS[name], tuple(sorted(ROLES[name])), built_in=True)


def made_role(role: Role) -> KnownRole:
    times = (role.create_time, role.update_time)
    return KnownRole(role.name, role.description, role.permissions, False, etag_of(role), *times)


def permissions_of(roles: Iterable[KnownRole]) -> frozenset[str]:
    """What these roles permit together."""
    return frozenset(permission for role in roles for permission in role.permissions)


def must_hold(caller: Caller, permissions: Iterable[str]) -> None:
    """Raises PermissionNotHeld where the caller would give, change or take away what it does not hold itself."""
    lacking = sorted(set(permissions) - caller.permissions)
    if lacking:
        raise PermissionNotHeld(permission=lacking[0])


def must_be_known(permissions: Iterable[str]) -> None:
    """Raises PermissionUnknown for the first, in alphabetical order, that nothing asks for."""
    unknown = sorted(set(permissions) - PERMISSIONS)
    if unknown:
        raise PermissionUnknown(permission=unknown[0])


def drafted(draft: RoleDraft, caller: Caller, now: datetime) -> Role:
    """The role as it is to be kept; raises PermissionUnknown, PermissionNotHeld, and RoleExists for a built-in name."""
    must_be_known(draft.permissions)
    must_hold(caller, draft.permissions)
    if draft.name in ROLES:
        raise RoleExists(role=draft.name)
    return Role(draft.name, draft.description, draft.permissions, 1, now, now)


def edited(role: Role, edit: Edit[str], caller: Caller, now: datetime) -> Role:
    """The role as it is to be; raises EtagMismatch, PermissionUnknown, PermissionNotHeld."""
    check_etag(role, edit)
    permissions = edit.values.get("permissions", ())
    must_be_known(permissions)
    must_hold(caller, {*role.permissions, *permissions})
    return changed(role, edit.values, now)


def must_be_made(name: str) -> None:
    """Raises RoleBuiltIn for a role that comes with Backroom."""
    if name in ROLES:
        raise RoleBuiltIn(role=name)


def may_lose(account_id: UUID, admins: Collection[UUID]) -> None:
    """Raises LastAdmin where nobody would be left to grant roles; `admins` are those that may come in."""
    if set(admins) == {account_id}:
        raise LastAdmin

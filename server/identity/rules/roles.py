from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from server.identity.errors import LastAdmin, RoleNotFound
from server.identity.roles import ADMIN, ROLES


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


@dataclass(frozen=True, slots=True)
class RoleEdit:
    """Which fields of a role are to change; None leaves one as it is."""

    name: str
    etag: str | None
    description: str | None
    permissions: tuple[str, ...] | None


def known_roles(names: Sequence[str]) -> tuple[str, ...]:
    """The names in alphabetical order; raises RoleNotFound for the first that is not a role."""
    for name in names:
        if name not in ROLES:
            raise RoleNotFound(role=name)
    return tuple(sorted(set(names)))


def may_lose(role: str, account_id: UUID, holders: Sequence[UUID]) -> None:
    """Raises LastAdmin where nobody would be left to grant roles."""
    if role == ADMIN and list(holders) == [account_id]:
        raise LastAdmin

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID


class AccountKind(StrEnum):
    PERSON = "person"
    SERVICE = "service"


class KeyUse(StrEnum):
    SIGN = "sign"
    """Signs access tokens: an Ed25519 private key, 32 bytes."""
    DERIVE = "derive"
    """Derives refresh tokens and service keys: 32 random bytes."""


@dataclass(frozen=True, slots=True)
class Account:
    """A person or a service, with its roles in alphabetical order."""

    id: UUID
    kind: AccountKind
    email: str | None
    name: str
    roles: tuple[str, ...]
    create_time: datetime
    verify_time: datetime | None = None
    """When the address was verified; a service needs none."""
    disable_time: datetime | None = None
    """Since when it may not come in."""


@dataclass(frozen=True, slots=True)
class Role:
    """A role that was made, with its permissions in alphabetical order."""

    name: str
    description: str
    permissions: tuple[str, ...]
    version: int
    create_time: datetime
    update_time: datetime


@dataclass(frozen=True, slots=True)
class ApiKey:
    """One key of a service account; the key itself is kept as a hash alone."""

    id: UUID
    account_id: UUID
    prefix: str
    create_time: datetime
    expire_time: datetime | None
    last_use_time: datetime | None
    end_time: datetime | None


@dataclass(frozen=True, slots=True)
class Session:
    """One sign-in of one account, and how often it was refreshed."""

    id: UUID
    account_id: UUID
    generation: int
    create_time: datetime
    refresh_time: datetime
    expire_time: datetime
    end_time: datetime | None
    address: str = ""
    """The network address that it was opened from."""
    user_agent: str = ""


@dataclass(frozen=True, slots=True)
class Key:
    id: str
    use: KeyUse
    material: bytes
    create_time: datetime
    retire_time: datetime | None

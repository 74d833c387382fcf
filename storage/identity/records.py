from dataclasses import dataclass, field
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
    """Derives refresh tokens and API keys: 32 random bytes."""


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
    password_time: datetime | None = None
    """When its password was last changed; None where it is the first one."""
    handle: str | None = None
    """What it is called by others, in lower case; None where it has none."""


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
class EffectiveAccess:
    """The account behind a token, now: an account that may come in, by a session or a key that has not ended."""

    roles: tuple[str, ...]
    custom_permissions: tuple[str, ...]
    """What those of the roles permit that were made; what comes with Backroom is not known here."""
    expire_time: datetime | None
    """When the session or the key ends by itself."""


@dataclass(frozen=True, slots=True)
class AccessChange:
    """That an account's access changed."""

    sequence: int
    account_id: UUID | None
    """None where it may be anyone's."""


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
    """A key that signs or derives, with its material as it is kept, or opened."""

    id: str
    use: KeyUse
    material: bytes = field(repr=False)
    sealed: bool
    """Whether the material is sealed by a master key."""
    create_time: datetime
    activate_time: datetime
    """From when on it is the one to sign or derive with, until a later one's time comes."""
    revoke_time: datetime | None = None
    """From when on nothing that it signed is taken."""


class MailPurpose(StrEnum):
    """What a token that was sent by mail is good for."""

    VERIFY = "verify"
    RESET = "reset"


@dataclass(frozen=True, slots=True)
class MailToken:
    """A token that was sent by mail; the token itself is kept as a hash alone."""

    hash: bytes
    account_id: UUID
    purpose: MailPurpose
    create_time: datetime
    expire_time: datetime


@dataclass(frozen=True, slots=True)
class SealedMail:
    """A mail that is to be sent."""

    id: UUID
    kind: str
    content: bytes
    """Sealed by a master key."""
    create_time: datetime
    attempt_count: int
    next_attempt_time: datetime


@dataclass(frozen=True, slots=True)
class Attempts:
    """How often something was tried, and when last."""

    key: bytes
    count: int
    last_time: datetime

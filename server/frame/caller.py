"""Who calls."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from uuid import UUID

from storage.frame.records import NOBODY


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls, and what it may do; nobody where `account_id` is NOBODY."""

    account_id: UUID
    permissions: frozenset[str]
    issued_for: UUID | None = None
    """The session, or the key of a service, that its token was issued for."""
    account: str = field(init=False, repr=False, compare=False)
    """The account's id as text, which each call needs."""
    signed_in: bool = field(init=False, repr=False, compare=False)
    """Whether it is an account; each call asks several times."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "account", str(self.account_id))
        object.__setattr__(self, "signed_in", self.account_id != NOBODY)

    def may(self, permission: str) -> bool:
        return permission in self.permissions


PermissionsOf = Callable[[UUID], Awaitable[frozenset[str] | None]]
"""What an account may do now, whoever looks it up; None where the account is disabled or does not exist."""

ANONYMOUS = Caller(NOBODY, frozenset())

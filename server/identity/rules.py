"""What identity decides: pure, without clock, randomness or store."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from uuid import UUID

from server.identity.errors import LastAdmin, RoleNotFound
from server.identity.roles import ADMIN, ROLES
from storage.identity.records import Session

ACCESS_TOKEN_LIFE = timedelta(minutes=15)
SESSION_LIFE = timedelta(days=30)
REFRESH_GRACE = timedelta(seconds=10)
"""How long a used refresh token may be sent once more by a client that lost the answer."""


class Renewal(Enum):
    """What becomes of a refresh token that was sent."""

    NEXT = "next"
    """The session goes on with a new token."""
    SAME = "same"
    """The answer was lost: it is given once more."""
    REUSED = "reused"
    """Two hold the token, and one of them is a thief: the session ends."""
    ENDED = "ended"
    """There is no such session any more."""


@dataclass(frozen=True, slots=True)
class RefreshClaim:
    """What a genuine refresh token says: which session, and which generation of it."""

    session_id: UUID
    generation: int


def normal_email(email: str) -> str:
    """The one form that an address is known by."""
    return email.strip().lower()


def renewal(session: Session | None, generation: int, now: datetime) -> Renewal:
    """What becomes of a refresh token of this generation."""
    if session is None or session.end_time is not None or now >= session.expire_time:
        return Renewal.ENDED
    if generation == session.generation:
        return Renewal.NEXT
    if generation == session.generation - 1 and now - session.refresh_time <= REFRESH_GRACE:
        return Renewal.SAME
    return Renewal.REUSED


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

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from uuid import UUID

from storage.identity.records import Session

ACCESS_TOKEN_LIFE = timedelta(minutes=15)
SESSION_LIFE = timedelta(days=30)
EXPIRED_RETENTION = timedelta(days=1)
"""For how long an expired session, with the address that it was opened from, is kept."""
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
class RefreshTokenContent:
    """What a genuine refresh token says: which session, and which generation of it."""

    session_id: UUID
    generation: int


def renewal(session: Session | None, generation: int, now: datetime) -> Renewal:
    """What becomes of a refresh token of this generation."""
    if session is None or session.end_time is not None or now >= session.expire_time:
        return Renewal.ENDED
    if generation == session.generation:
        return Renewal.NEXT
    if generation == session.generation - 1 and now - session.refresh_time <= REFRESH_GRACE:
        return Renewal.SAME
    return Renewal.REUSED

"""Which key signs, which still verifies, and which is done with."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import Enum

from server.identity.errors import KeyNotFound
from server.identity.rules.sessions import ACCESS_TOKEN_LIFE, SESSION_LIFE
from storage.identity.records import Key, KeyUse

ACTIVATE_AFTER = timedelta(seconds=600)
"""Longer than others may keep the published keys, which is 300 s, so that they know a key before it signs."""
SOONEST = timedelta(seconds=2)
"""What our own servers need to learn of a key, twice."""

_GOOD_FOR = {
    # The clocks of two servers may differ a little.
    KeyUse.SIGN: ACCESS_TOKEN_LIFE + timedelta(minutes=1),
    # A session's last refresh token, and the answer to a repeated request, which is kept as long.
    KeyUse.DERIVE: SESSION_LIFE + timedelta(days=1),
}
"""For how long what a key made may be shown to us, once it makes nothing more."""


class KeyState(Enum):
    NEXT = "next"
    """Published, and not yet signed with."""
    ACTIVE = "active"
    VERIFYING = "verifying"
    """Signed with no more; what it signed is taken."""
    ENDED = "ended"
    REVOKED = "revoked"


def trusted(kept: Sequence[Key]) -> Sequence[Key]:
    """Those that count: an earlier version sealed none, and one in the clear beside sealed ones is a stranger's."""
    return [key for key in kept if key.sealed] or kept


def of_use(keys: Sequence[Key], use: KeyUse) -> Sequence[Key]:
    """In the order in which they become active."""
    return sorted((key for key in keys if key.use is use), key=_place)


def active(keys: Sequence[Key], use: KeyUse, at: datetime) -> Key | None:
    """The one to sign or derive with at a time: the latest whose time has come; before all of them, the first."""
    accepted = [key for key in of_use(keys, use) if key.revoke_time is None]
    return next((key for key in reversed(accepted) if key.activate_time <= at), accepted[0] if accepted else None)


def end_time(key: Key, keys: Sequence[Key]) -> datetime | None:
    """From when on nothing that the key made is taken; None where nothing has taken its place yet."""
    if key.revoke_time is not None:
        return key.revoke_time
    behind = [other for other in of_use(keys, key.use) if _place(other) > _place(key) and _became_active(other)]
    return behind[0].activate_time + _GOOD_FOR[key.use] if behind else None


def accepted(keys: Sequence[Key], use: KeyUse, now: datetime) -> Sequence[Key]:
    """Those whose work is taken, one that is yet to become active too; the latest first."""
    ends = ((key, end_time(key, keys)) for key in of_use(keys, use))
    return [key for key, end in ends if end is None or now < end][::-1]


def state(key: Key, keys: Sequence[Key], now: datetime) -> KeyState:
    if key.revoke_time is not None:
        return KeyState.REVOKED
    if key not in accepted(keys, key.use, now):
        return KeyState.ENDED
    if key == active(keys, key.use, now):
        return KeyState.ACTIVE
    return KeyState.NEXT if key.activate_time > now else KeyState.VERIFYING


def first(keys: Sequence[Key]) -> Key | None:
    """The deriving key that is never removed: what outlives every rotation is derived from it."""
    return next(iter(of_use(keys, KeyUse.DERIVE)), None)


def disposable(keys: Sequence[Key], now: datetime) -> Sequence[Key]:
    """The keys whose material nothing needs any more."""
    needed = {key.id for use in KeyUse for key in accepted(keys, use, now)}
    kept = first(keys)
    return [key for key in keys if key.id not in needed and key != kept and not _answers_again(key, now)]


def existing(keys: Sequence[Key], key_id: str) -> Key:
    """Raises KeyNotFound."""
    for key in keys:
        if key.id == key_id:
            return key
    raise KeyNotFound(key_id=key_id)


def _answers_again(key: Key, now: datetime) -> bool:
    """Whether an answer may be asked for again that a revoked key derived."""
    return key.use is KeyUse.DERIVE and key.revoke_time is not None and now < key.revoke_time + _GOOD_FOR[key.use]


def _place(key: Key) -> tuple[datetime, datetime, str]:
    return key.activate_time, key.create_time, key.id


def _became_active(key: Key) -> bool:
    return key.revoke_time is None or key.revoke_time > key.activate_time

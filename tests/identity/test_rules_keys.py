"""Which key signs and which verifies, after any rotations and revocations."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from server.identity.rules import keys as rules
from server.identity.rules.sessions import ACCESS_TOKEN_LIFE, SESSION_LIFE
from storage.identity.records import Key, KeyUse

START = datetime(2026, 3, 1, tzinfo=UTC)


def key(place: int, activate: int, *, use: KeyUse = KeyUse.SIGN, revoked: int | None = None) -> Key:
    """The `place`-th key that was made, with its times in minutes after START."""
    time = START + timedelta(minutes=activate)
    revoke_time = START + timedelta(minutes=revoked) if revoked is not None else None
    return Key(f"{place:016x}", use, b"", True, time, time, revoke_time)


@st.composite
def rotations(draw: st.DrawFn, use: KeyUse = KeyUse.SIGN) -> Sequence[Key]:
    """Keys made one after the other, none of them revoked."""
    gaps = draw(st.lists(st.integers(0, 60), max_size=6))
    times = [sum(gaps[:place]) for place in range(len(gaps) + 1)]
    return [key(place, time, use=use) for place, time in enumerate(times)]


MINUTES = st.integers(0, 400)


@given(rotations(), MINUTES, st.integers(0, int(ACCESS_TOKEN_LIFE.total_seconds())))
def test_a_signature_is_accepted_until_its_token_expires(keys: Sequence[Key], minute: int, seconds: int) -> None:
    """Whenever it was made, and however often keys were rotated since."""
    then = START + timedelta(minutes=minute)
    signing = rules.active(keys, KeyUse.SIGN, then)
    assert signing in rules.accepted(keys, KeyUse.SIGN, then + timedelta(seconds=seconds))


@given(rotations(KeyUse.DERIVE), MINUTES, st.integers(0, int(SESSION_LIFE.total_seconds())))
def test_a_derived_secret_is_accepted_as_long_as_a_session_lasts(
    keys: Sequence[Key], minute: int, seconds: int
) -> None:
    """Its key is neither refused nor destroyed meanwhile."""
    then = START + timedelta(minutes=minute)
    deriving = rules.active(keys, KeyUse.DERIVE, then)
    later = then + timedelta(seconds=seconds)
    assert deriving in rules.accepted(keys, KeyUse.DERIVE, later)
    assert deriving not in rules.disposable(keys, later)


@given(rotations(), MINUTES, st.integers(0, 6))
def test_a_revoked_key_neither_signs_nor_verifies(keys: Sequence[Key], minute: int, place: int) -> None:
    """Whichever it was; if another one is left, that one signs."""
    then = START + timedelta(minutes=minute)
    revoked = keys[place % len(keys)]
    left = [replace(each, revoke_time=then) if each is revoked else each for each in keys]
    assert revoked.id not in {each.id for each in rules.accepted(left, KeyUse.SIGN, then)}
    signing = rules.active(left, KeyUse.SIGN, then)
    assert (signing is None) == (len(keys) == 1)
    assert signing is None or signing.id != revoked.id


@given(rotations(), MINUTES)
def test_one_key_is_active_and_all_others_come_before_or_after_it(keys: Sequence[Key], minute: int) -> None:
    """Each has one state, and no key that is still needed is destroyed."""
    now = START + timedelta(minutes=minute)
    states = [rules.state(each, keys, now) for each in keys]
    assert states.count(rules.KeyState.ACTIVE) == 1
    done = rules.disposable(keys, now)
    assert {each.id for each, state in zip(keys, states, strict=True) if state is rules.KeyState.ENDED} == {
        each.id for each in done
    }


def test_a_key_revoked_before_its_time_ends_no_other() -> None:
    """The previous one continues to sign."""
    keys = [key(0, 0), key(1, 10, revoked=5)]
    now = START + timedelta(days=1)
    assert rules.active(keys, KeyUse.SIGN, now) == keys[0]
    assert rules.end_time(keys[0], keys) is None


def test_the_first_deriving_key_is_never_destroyed() -> None:
    """Digests of requests are keyed with it; a revoked one is kept while answers may be repeated."""
    keys = [key(place, place * 10, use=KeyUse.DERIVE, revoked=50 if place == 1 else None) for place in range(3)]
    month, years = START + timedelta(days=30), START + timedelta(days=3650)
    assert rules.disposable(keys, month) == []
    assert rules.disposable(keys, years) == [keys[1]]

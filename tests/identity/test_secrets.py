"""Refresh tokens and API keys, created and parsed without the wire."""

import zlib
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.frame import base64url
from server.identity.credentials import secrets as made_here
from server.identity.credentials.secrets import Secrets, key_hash, well_formed
from server.identity.errors import CredentialsInvalid
from server.identity.rules.sessions import RefreshTokenContent
from storage.database import Database
from storage.identity.records import Session
from tests.fixtures.examples import examples
from tests.identity.people import Clock
from tests.identity.test_keys import asked, ring_of, rotated, rotation_of

NOW = datetime(2026, 3, 1, tzinfo=UTC)
SESSION = Session(UUID(int=5), UUID(int=6), 7, NOW, NOW, NOW, None)


@pytest.fixture
def secrets(database: Database, clock: Clock) -> Secrets:
    return Secrets(ring_of(database, clock))


async def test_a_refresh_token_names_its_session_and_generation(secrets: Secrets) -> None:
    """It is the same each time it is made, and is parsed as it was made."""
    token = await secrets.refresh_token(SESSION)
    assert token == await secrets.refresh_token(SESSION)
    assert token.startswith("brr_")
    assert await secrets.read_refresh_token(token) == RefreshTokenContent(SESSION.id, 7)


async def test_each_generation_has_a_token_of_its_own(secrets: Secrets) -> None:
    """For all sessions and generations, up to the largest that the store holds."""
    sessions = [
        SESSION,
        replace(SESSION, generation=8),
        replace(SESSION, id=uuid4()),
        replace(SESSION, generation=2**31 - 1),
    ]
    made = [await secrets.refresh_token(session) for session in sessions]
    assert len(set(made)) == 4
    read = [await secrets.read_refresh_token(token) for token in made]
    assert read == [RefreshTokenContent(session.id, session.generation) for session in sessions]


async def test_a_refresh_token_survives_rotations(secrets: Secrets, database: Database, clock: Clock) -> None:
    """It is accepted as long as its session lasts, and made again it is the same."""
    session = replace(SESSION, refresh_time=clock())
    token = await secrets.refresh_token(session)
    for _ in range(2):
        await rotated(database, clock)
        assert await secrets.refresh_token(session) == token
        assert await secrets.read_refresh_token(token) == RefreshTokenContent(SESSION.id, 7)
    next_one = await secrets.refresh_token(replace(session, refresh_time=clock(), generation=8))
    clock.advance(days=30)
    for each in (token, next_one):
        await secrets.read_refresh_token(each)


async def test_refresh_tokens_of_a_revoked_key_are_refused(secrets: Secrets, database: Database, clock: Clock) -> None:
    """Those of other keys remain valid."""
    old = await secrets.refresh_token(replace(SESSION, refresh_time=clock()))
    _, leaked = await rotated(database, clock)
    forged = await secrets.refresh_token(replace(SESSION, refresh_time=clock()))
    clock.advance(seconds=5)
    await rotation_of(database, clock).revoke(leaked, asked(clock))
    clock.advance(seconds=1)
    await secrets.read_refresh_token(old)
    with pytest.raises(CredentialsInvalid):
        await secrets.read_refresh_token(forged)


async def test_a_server_learns_of_a_deriving_key_at_its_first_token(database: Database, clock: Clock) -> None:
    """Even if it read the keys just before that one was made."""
    late = Secrets(ring_of(database, clock))
    await late.request_secret()
    made = await rotation_of(database, clock).rotate(timedelta(0), asked(clock))
    token = await Secrets(ring_of(database, clock)).refresh_token(replace(SESSION, refresh_time=made[1].activate_time))
    assert await late.read_refresh_token(token) == RefreshTokenContent(SESSION.id, 7)


async def test_a_refresh_token_of_another_installation_is_refused(secrets: Secrets) -> None:
    """Its keys differ."""
    token = await secrets.refresh_token(SESSION)
    other = Secrets(_FixedKeys())  # type: ignore[arg-type] # all that it asks of a ring
    assert await other.read_refresh_token(await other.refresh_token(SESSION))
    with pytest.raises(CredentialsInvalid):
        await other.read_refresh_token(token)


async def test_a_refresh_token_is_recognized_by_its_prefix(secrets: Secrets) -> None:
    """Secret scanners look for it: a text without it, or with another, is not a refresh token."""
    token = await secrets.refresh_token(SESSION)
    bare = token.removeprefix("brr_")
    for other in (f"brk_{bare}", f"BRR_{bare}", f"brr_{token}", bare):
        with pytest.raises(CredentialsInvalid):
            await secrets.read_refresh_token(other)


async def test_a_changed_refresh_token_is_invalid() -> None:
    """The seal covers each byte of its content, and each byte of the seal counts."""
    secrets = Secrets(_FixedKeys())  # type: ignore[arg-type] # all that it asks of a ring
    token = await secrets.refresh_token(SESSION)
    content = base64url.decoded(token.removeprefix("brr_"))
    for place in range(len(content)):
        changed = bytearray(content)
        changed[place] ^= 1
        with pytest.raises(CredentialsInvalid):
            await secrets.read_refresh_token("brr_" + base64url.encoded(bytes(changed)))
    for cut in range(len(token)):
        with pytest.raises(CredentialsInvalid):
            await secrets.read_refresh_token(token[:cut])


@examples(100)
@given(st.text(max_size=80) | st.binary(max_size=60).map(lambda content: "brr_" + base64url.encoded(content)))
async def test_no_random_text_is_a_refresh_token(token: str) -> None:
    """Whatever is sent, the answer is the one refusal."""
    with pytest.raises(CredentialsInvalid):
        await Secrets(_FixedKeys()).read_refresh_token(token)  # type: ignore[arg-type] # all that it asks of a ring


async def test_an_api_key_has_a_form_that_scanners_can_be_sure_of(secrets: Secrets, clock: Clock) -> None:
    """A prefix, 160 bits in letters and digits, and a checksum over both."""
    making = await secrets.key_making(clock())
    key = making.key(uuid4())
    assert key.startswith("brk_")
    assert len(key) == 37
    assert key[4:].isalnum()
    assert key.isascii()
    body, check = key[:31], key[31:]
    assert made_here._base62(zlib.crc32(body.encode()), 6) == check
    assert len({making.key(uuid4()) for _ in range(100)}) == 100


@given(st.uuids(), st.integers(4, 36), st.sampled_from(made_here._DIGITS))
def test_a_mistyped_key_is_recognized_without_the_database(key_id: UUID, place: int, digit: str) -> None:
    """One character wrong, two swapped, or a part missing."""
    key = made_here.KeyMaking(b"k" * 32, (), ()).key(key_id)
    assert well_formed(key)
    for wrong in (
        key[:place] + digit + key[place + 1 :],
        key[: place - 1] + key[place] + key[place - 1] + key[place + 1 :] if place > 4 else key[4:],
        key[:place] + key[place + 1 :],
        key + digit,
        key.replace("brk_", "brr_"),
    ):
        assert not well_formed(wrong) or wrong == key


@given(st.text(max_size=60))
def test_any_text_is_classified_by_its_form(text: str) -> None:
    """It never raises; a text without the prefix is no key."""
    assert not well_formed(text) or text.startswith("brk_")


async def test_a_key_can_be_shown_again(secrets: Secrets, database: Database, clock: Clock) -> None:
    """After rotations, after its deriving key was revoked, and in the format of the version that made it."""
    key_id = uuid4()
    making = await secrets.key_making(clock())
    key = making.key(key_id)
    earlier = "brk_" + base64url.encoded(made_here._mac(making.earlier[0], key_id.bytes)[:20])
    assert well_formed(earlier)
    _, leaked = await rotated(database, clock)
    await rotated(database, clock)
    await rotation_of(database, clock).revoke(leaked, asked(clock))
    clock.advance(seconds=2)
    later = await secrets.key_making(clock())
    assert later.key(key_id) != key
    for shown in (key, earlier):
        assert later.again(key_id, key_hash(shown)) == shown
    with pytest.raises(LookupError):
        later.again(uuid4(), key_hash(key))


async def test_digests_of_requests_survive_rotations(secrets: Secrets, database: Database, clock: Clock) -> None:
    """A repeated request with a password is recognized after a rotation."""
    before = await secrets.request_secret()
    for _ in range(3):
        await rotated(database, clock)
        assert await Secrets(ring_of(database, clock)).request_secret() == before


class _FixedKeys:
    """A key ring without a store, for property tests that need no keys of their own."""

    async def deriving(self, purpose: str, at: datetime) -> bytes:
        return purpose.encode().ljust(32, b".")

    async def derived(self, purpose: str, *, fresh: bool = False) -> Sequence[bytes]:
        return [purpose.encode().ljust(32, b".")]

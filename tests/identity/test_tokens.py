"""Tokens and keys, made and checked without a wire between."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import jwt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.frame.errors import TokenInvalid
from server.identity import tokens as made_here
from server.identity.errors import CredentialsInvalid
from server.identity.keys import KeyRing
from server.identity.roles import ROLES
from server.identity.rules import ACCESS_TOKEN_LIFE, RefreshClaim
from server.identity.tokens import AccessTokens, Secrets, key_hash
from storage.database import Database
from storage.identity.records import Session
from tests.identity.people import Clock, person

NOW = datetime(2026, 3, 1, tzinfo=UTC)
SESSION = Session(UUID(int=5), UUID(int=6), 7, NOW, NOW, NOW, None)


@pytest.fixture
def access_tokens(database: Database, clock: Clock) -> AccessTokens:
    return AccessTokens(KeyRing(database, clock), clock)


@pytest.fixture
def secrets(database: Database, clock: Clock) -> Secrets:
    return Secrets(KeyRing(database, clock))


async def test_an_access_token_stands_for_its_account_and_its_roles(access_tokens: AccessTokens) -> None:
    """The caller has the account's id, and what the roles permit."""
    ada = person(None, "customer", "staff")
    token, _ = await access_tokens.issue(ada)
    caller = await access_tokens.caller_of(token)
    assert caller.account_id == ada.id
    assert caller.permissions == ROLES["customer"] | ROLES["staff"]


async def test_an_access_token_says_what_it_is(access_tokens: AccessTokens, clock: Clock) -> None:
    """The header and the claims are those of RFC 9068, and no name or address is among them."""
    ada = person("ada@example.com", "staff")
    token, expire_time = await access_tokens.issue(ada)
    header = jwt.get_unverified_header(token)
    claims = jwt.decode(token, options={"verify_signature": False})
    assert (header["alg"], header["typ"], set(header)) == ("EdDSA", "at+jwt", {"alg", "typ", "kid"})
    assert UUID(claims.pop("jti"))
    assert claims == {
        "iss": "backroom",
        "aud": "backroom",
        "sub": str(ada.id),
        "iat": int(clock().timestamp()),
        "exp": int(expire_time.timestamp()),
        "roles": ["staff"],
    }


async def test_an_access_token_lives_for_fifteen_minutes(access_tokens: AccessTokens, clock: Clock) -> None:
    """It counts until the time that was told with it, also where it was seen before."""
    token, expire_time = await access_tokens.issue(person())
    assert timedelta(0) <= clock() + ACCESS_TOKEN_LIFE - expire_time < timedelta(seconds=1)
    await access_tokens.caller_of(token)
    clock.time = expire_time - timedelta(microseconds=1)
    await access_tokens.caller_of(token)
    clock.time = expire_time
    for _ in range(2):
        with pytest.raises(TokenInvalid):
            await access_tokens.caller_of(token)


async def test_a_token_from_a_clock_a_little_ahead_is_taken(database: Database, clock: Clock) -> None:
    """Five seconds between two servers' clocks keep nobody out, and six do."""
    ahead = Clock()
    ring = KeyRing(database, clock)
    token_of = {}
    for seconds in (5, 6):
        ahead.time = clock().replace(microsecond=0) + timedelta(seconds=seconds)
        token_of[seconds], _ = await AccessTokens(ring, ahead).issue(person())
    clock.time = clock().replace(microsecond=0)
    here = AccessTokens(ring, clock)
    assert (await here.caller_of(token_of[5])).signed_in
    with pytest.raises(TokenInvalid):
        await here.caller_of(token_of[6])
    clock.advance(seconds=1)
    assert (await here.caller_of(token_of[6])).signed_in


async def test_the_memory_of_tokens_is_bounded(access_tokens: AccessTokens, monkeypatch: pytest.MonkeyPatch) -> None:
    """The longest unseen is forgotten first, and what is forgotten is verified anew."""
    monkeypatch.setattr(made_here, "_REMEMBERED", 3)
    issued = [(await access_tokens.issue(person()))[0] for _ in range(4)]
    for token in (*issued[:3], issued[0], issued[3]):
        await access_tokens.caller_of(token)
    assert set(access_tokens._seen) == {issued[0], issued[2], issued[3]}
    assert (await access_tokens.caller_of(issued[1])).signed_in


async def test_hostile_tokens_are_not_remembered(access_tokens: AccessTokens) -> None:
    """Only tokens of ours take up memory."""
    genuine, _ = await access_tokens.issue(person())
    for token in (genuine[:-4] + "AAAA", "x", genuine + "x"):
        with pytest.raises(TokenInvalid):
            await access_tokens.caller_of(token)
    assert not access_tokens._seen


NO_TOKENS = ["", ".", "..", "...", "é.é.é", "\udc80", "\0", "e30.e30.e30", "bnVsbA.bnVsbA.", "W10.W10.W10", "a" * 9000]


async def test_what_is_no_token_is_refused_and_never_raises_otherwise(access_tokens: AccessTokens) -> None:
    """Whatever characters come, the answer is the one refusal."""
    for token in NO_TOKENS:
        with pytest.raises(TokenInvalid):
            await access_tokens.caller_of(token)


async def test_a_refresh_token_says_which_session_and_generation(secrets: Secrets) -> None:
    """It is the same each time it is made, and reads back as it was made."""
    token = await secrets.refresh_token(SESSION)
    assert token == await secrets.refresh_token(SESSION)
    assert token.startswith("brr_")
    assert await secrets.read_refresh_token(token) == RefreshClaim(SESSION.id, 7)


async def test_each_generation_has_a_token_of_its_own(secrets: Secrets) -> None:
    """Sessions and generations are told apart, up to the largest that the store holds."""
    sessions = [
        SESSION,
        replace(SESSION, generation=8),
        replace(SESSION, id=uuid4()),
        replace(SESSION, generation=2**31 - 1),
    ]
    made = [await secrets.refresh_token(session) for session in sessions]
    assert len(set(made)) == 4
    read = [await secrets.read_refresh_token(token) for token in made]
    assert read == [RefreshClaim(session.id, session.generation) for session in sessions]


async def test_a_refresh_token_of_another_installation_is_refused(
    secrets: Secrets,
) -> None:
    """Other keys seal otherwise."""
    token = await secrets.refresh_token(SESSION)
    other = Secrets(_FixedKeys())  # type: ignore[arg-type] # all that it asks of a ring
    assert await other.read_refresh_token(await other.refresh_token(SESSION))
    with pytest.raises(CredentialsInvalid):
        await other.read_refresh_token(token)


async def test_a_refresh_token_is_known_by_its_prefix(secrets: Secrets) -> None:
    """Scanners look for the prefix: what lacks it, or has another, is not a refresh token."""
    token = await secrets.refresh_token(SESSION)
    bare = token.removeprefix("brr_")
    for other in (f"brk_{bare}", f"BRR_{bare}", f"brr_{token}", bare):
        with pytest.raises(CredentialsInvalid):
            await secrets.read_refresh_token(other)


async def test_no_change_to_a_refresh_token_makes_another(secrets: Secrets) -> None:
    """Each byte of what it says is under the seal, and so is each byte of the seal."""
    token = await secrets.refresh_token(SESSION)
    content = made_here._bytes(token.removeprefix("brr_"))
    for place in range(len(content)):
        changed = bytearray(content)
        changed[place] ^= 1
        with pytest.raises(CredentialsInvalid):
            await secrets.read_refresh_token("brr_" + made_here._text(bytes(changed)))
    for cut in range(len(token)):
        with pytest.raises(CredentialsInvalid):
            await secrets.read_refresh_token(token[:cut])


@settings(max_examples=100)
@given(st.text(max_size=80) | st.binary(max_size=60).map(lambda content: "brr_" + made_here._text(content)))
async def test_no_text_reads_as_a_refresh_token(token: str) -> None:
    """Whatever is sent, the answer is the one refusal."""
    with pytest.raises(CredentialsInvalid):
        await Secrets(_FixedKeys()).read_refresh_token(token)  # type: ignore[arg-type] # all that it asks of a ring


async def test_a_service_key_belongs_to_its_account(secrets: Secrets) -> None:
    """It is the same each time, other accounts have others, and it holds 160 bits behind its prefix."""
    ada, bob = uuid4(), uuid4()
    key = await secrets.service_key(ada)
    assert key == await secrets.service_key(ada)
    assert key != await secrets.service_key(bob)
    assert key.startswith("brk_")
    assert len(made_here._bytes(key.removeprefix("brk_"))) == 20
    assert key_hash(key) != key_hash(await secrets.service_key(bob))
    assert key.encode() not in key_hash(key)


class _FixedKeys:
    """A key ring without a store, for laws that need no keys of their own."""

    async def secret(self, purpose: str) -> bytes:
        return purpose.encode().ljust(32, b".")

"""Access tokens, created and checked without the wire."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from server.frame.addresses import LOCAL_ISSUER
from server.frame.errors import TokenInvalid
from server.identity.credentials.keys import KeyRing
from server.identity.credentials.tokens import AccessTokens, Verifier
from server.identity.rules.sessions import ACCESS_TOKEN_LIFE
from storage.database import Database
from storage.identity.records import AccountKind
from storage.identity.store import IDENTITY
from tests.fixtures.keys import MASTER_KEYS
from tests.identity.people import Clock, person

SESSION = UUID(int=5)
KID = "0123456789abcdef"
KEY = Ed25519PrivateKey.from_private_bytes(b"k" * 32)
NOW = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.fixture
def access_tokens(database: Database, clock: Clock) -> AccessTokens:
    return AccessTokens(KeyRing(database.store(IDENTITY), MASTER_KEYS, clock), clock, LOCAL_ISSUER)


async def test_an_access_token_names_its_account_and_its_session_or_key(access_tokens: AccessTokens) -> None:
    """And the key that signed it; what the account may do is not read from it."""
    ada = person(None, "customer", "staff")
    token, expire_time = await access_tokens.issue(ada, SESSION)
    said = await access_tokens.verified(token)
    assert (said.account_id, said.issued_for, said.expire_time) == (ada.id, SESSION, expire_time)
    assert said.kid == jwt.get_unverified_header(token)["kid"]


async def test_an_access_token_has_the_standard_form(access_tokens: AccessTokens, clock: Clock) -> None:
    """The header and the claims are those of RFC 9068, without names or addresses."""
    ada = person("ada@example.com", "staff")
    token, expire_time = await access_tokens.issue(ada, SESSION)
    header = jwt.get_unverified_header(token)
    claims = jwt.decode(token, options={"verify_signature": False})
    assert (header["alg"], header["typ"], set(header)) == ("EdDSA", "at+jwt", {"alg", "typ", "kid"})
    assert UUID(claims.pop("jti"))
    assert claims == {
        "iss": LOCAL_ISSUER,
        "aud": LOCAL_ISSUER,
        "sub": str(ada.id),
        "client_id": LOCAL_ISSUER,
        "sid": str(SESSION),
        "iat": int(clock().timestamp()),
        "exp": int(expire_time.timestamp()),
        "roles": ["staff"],
    }


async def test_a_services_client_id_is_its_account_id(access_tokens: AccessTokens) -> None:
    """`client_id` by RFC 9068, section 2.2."""
    shop = replace(person(), kind=AccountKind.SERVICE)
    token, _ = await access_tokens.issue(shop, SESSION)
    assert jwt.decode(token, options={"verify_signature": False})["client_id"] == str(shop.id)


async def test_a_token_of_another_environment_is_refused(database: Database, clock: Clock) -> None:
    """Although it is signed with the very same key, as in a copied database."""
    ring = KeyRing(database.store(IDENTITY), MASTER_KEYS, clock)
    here, there = (AccessTokens(ring, clock, f"https://{name}.example.com") for name in ("here", "there"))
    token, _ = await there.issue(person(), SESSION)
    assert (await there.verified(token)).issued_for == SESSION
    with pytest.raises(TokenInvalid):
        await here.verified(token)


async def test_an_access_token_lives_for_fifteen_minutes(access_tokens: AccessTokens, clock: Clock) -> None:
    """It is valid until the time that was returned with it."""
    token, expire_time = await access_tokens.issue(person(), SESSION)
    assert timedelta(0) <= clock() + ACCESS_TOKEN_LIFE - expire_time < timedelta(seconds=1)
    clock.time = expire_time - timedelta(microseconds=1)
    await access_tokens.verified(token)
    clock.time = expire_time
    with pytest.raises(TokenInvalid):
        await access_tokens.verified(token)


async def test_an_access_token_can_expire_earlier(access_tokens: AccessTokens, clock: Clock) -> None:
    """At that time or within the second before it; and never later than after fifteen minutes."""
    until = clock() + timedelta(minutes=2)
    _, expire_time = await access_tokens.issue(person(), SESSION, until=until)
    assert timedelta(0) <= until - expire_time < timedelta(seconds=1)
    _, expire_time = await access_tokens.issue(person(), SESSION, until=clock() + timedelta(days=2))
    assert expire_time <= clock() + ACCESS_TOKEN_LIFE


async def test_a_token_from_a_clock_slightly_ahead_is_accepted(database: Database, clock: Clock) -> None:
    """Five seconds between two servers' clocks are accepted, and six are not."""
    ahead = Clock()
    ring = KeyRing(database.store(IDENTITY), MASTER_KEYS, clock)
    token_of = {}
    for seconds in (5, 6):
        ahead.time = clock().replace(microsecond=0) + timedelta(seconds=seconds)
        token_of[seconds], _ = await AccessTokens(ring, ahead, LOCAL_ISSUER).issue(person(), SESSION)
    clock.time = clock().replace(microsecond=0)
    here = AccessTokens(ring, clock, LOCAL_ISSUER)
    assert (await here.verified(token_of[5])).issued_for == SESSION
    with pytest.raises(TokenInvalid):
        await here.verified(token_of[6])
    clock.advance(seconds=1)
    assert (await here.verified(token_of[6])).issued_for == SESSION


NO_TOKENS = ["", ".", "..", "...", "é.é.é", "\udc80", "\0", "e30.e30.e30", "bnVsbA.bnVsbA.", "W10.W10.W10", "a" * 9000]


@given(st.sampled_from(NO_TOKENS) | st.text(max_size=80) | st.from_regex(r"[\w-]{1,80}\.[\w-]{1,80}\.[\w-]{86}"))
async def test_any_other_text_is_refused_without_another_error(token: str) -> None:
    """Whatever characters it has, the answer is the one refusal."""
    with pytest.raises(TokenInvalid):
        await _verifier().verified(token)


@given(st.integers(0, 2000), st.characters(min_codepoint=33, max_codepoint=126))
async def test_a_changed_token_is_invalid(place: int, put: str) -> None:
    """Whichever character is changed, missing or added."""
    token = _token()
    place %= len(token)
    assert (await _verifier().verified(token)).issued_for == SESSION
    for changed in (token[:place] + put + token[place + 1 :], token[:place] + token[place + 1 :], token + put):
        if changed != token:
            with pytest.raises(TokenInvalid):
                await _verifier().verified(changed)


def _token() -> str:
    second = int(NOW.timestamp())
    claims = {"iss": LOCAL_ISSUER, "aud": LOCAL_ISSUER, "client_id": LOCAL_ISSUER}
    claims |= {"sub": str(uuid4()), "sid": str(SESSION), "jti": "1"}
    headers = {"kid": KID, "typ": "at+jwt"}
    return jwt.encode({**claims, "iat": second, "exp": second + 900}, KEY, algorithm="EdDSA", headers=headers)


def _verifier() -> Verifier:
    return Verifier(_OneKey(), lambda: NOW, LOCAL_ISSUER)  # type: ignore[arg-type] # all that it asks of a ring


class _OneKey:
    """A key ring without a store, for property tests that need no keys of their own."""

    async def verifying(self, kid: str) -> object:
        return KEY.public_key() if kid == KID else None

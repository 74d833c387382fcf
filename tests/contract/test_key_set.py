"""Other services verify our access tokens without calling us."""

import jwt
import pytest

from server.frame.addresses import LOCAL_ISSUER
from tests.fixtures.http import plain_client
from tests.fixtures.servers import Api, Running

PATH = "/.well-known/jwks.json"


async def test_the_published_key_verifies_an_access_token(server: Running, admin: Api) -> None:
    """A library that knows nothing of Backroom verifies it: the token names the key, the algorithm and the caller."""
    assert admin.token is not None
    async with plain_client() as client:
        answer = await client.get(server.http + PATH)
    keys = jwt.PyJWKSet.from_dict(answer.json())
    header = jwt.get_unverified_header(admin.token)
    claims = jwt.decode(
        admin.token, keys[header["kid"]].key, algorithms=["EdDSA"], audience=LOCAL_ISSUER, issuer=LOCAL_ISSUER
    )
    assert claims["sub"] == str(admin.account_id)
    assert "max-age" in answer.headers["cache-control"]


async def test_the_published_key_verifies_no_other_token(server: Running, admin: Api) -> None:
    """A token with one changed character in its claims is not valid."""
    assert admin.token is not None
    async with plain_client() as client:
        (key,) = jwt.PyJWKSet.from_dict((await client.get(server.http + PATH)).json()).keys
    header, claims, signature = admin.token.split(".")
    forged = ".".join((header, claims[:-1] + ("A" if claims[-1] != "A" else "Q"), signature))
    with pytest.raises(jwt.InvalidTokenError):
        jwt.decode(forged, key.key, algorithms=["EdDSA"], audience=LOCAL_ISSUER, issuer=LOCAL_ISSUER)


async def test_no_secret_is_published(server: Running) -> None:
    """The key set holds only the public part and its use."""
    async with plain_client() as client:
        (key,) = (await client.get(server.http + PATH)).json()["keys"]
    assert set(key) == {"kty", "crv", "alg", "use", "kid", "x"}
    assert (key["kty"], key["crv"], key["alg"], key["use"]) == ("OKP", "Ed25519", "EdDSA", "sig")

"""Access tokens that mean harm, sent to a method that needs one."""

import base64
import hashlib
import hmac
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import grpc
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from backroom.identity.v1 import identity_service_pb2
from server.wiring import now
from tests.fixtures.servers import Api, Refused, Running, refusal
from tests.identity.people import log_of, logged_in, me, registered

Header = tuple[str, str]
UNPARSABLE = b"\xff\xff\xff"
Signer = Callable[[bytes], bytes]


@dataclass(frozen=True)
class Forger:
    """Knows how our tokens are made, holds our key as well as one of its own, and may change anything."""

    kid: str
    ours: Ed25519PrivateKey
    account_id: str
    own: Ed25519PrivateKey

    def token(
        self,
        *,
        header: Mapping[str, Any] | None = None,
        claims: Mapping[str, Any] | None = None,
        without: Sequence[str] = (),
        sign: Signer | None = None,
    ) -> str:
        """A token of ours but for what is said to be otherwise."""
        second = int(now().timestamp())
        said = {"iss": "backroom", "aud": "backroom", "sub": self.account_id, "iat": second, "exp": second + 900}
        said |= {"jti": str(uuid4()), "roles": ["admin"], **(claims or {})}
        head = {"alg": "EdDSA", "typ": "at+jwt", "kid": self.kid, **(header or {})}
        kept = [{name: value for name, value in part.items() if name not in without} for part in (head, said)]
        content = b".".join(_segment(json.dumps(part).encode()) for part in kept)
        return (content + b"." + _segment((sign or self.ours.sign)(content))).decode()

    @property
    def public(self) -> Sequence[bytes]:
        """Our public key in the forms in which it may be taken for a secret."""
        key = self.ours.public_key()
        forms = ((Encoding.Raw, PublicFormat.Raw), (Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
        return [key.public_bytes(*form) for form in forms]


def malformed(forger: Forger) -> dict[str, str]:
    """What is not even a token, by what is wrong with it."""
    head, claims, seal = forger.token().split(".")
    return {
        "garbage": "garbage",
        "empty parts": "..",
        "two parts": f"{head}.{claims}",
        "four parts": f"{head}.{claims}.{seal}.{seal}",
        "deep": f"{_segment(b'[' * 2900).decode()}.{claims}.{seal}",
        "not JSON": f"{_segment(b'{').decode()}.{claims}.{seal}",
        "JSON but no object": f"{_segment(b'[]').decode()}.{claims}.{seal}",
        "8 kB": forger.token(claims={"padding": "x" * 6000}),
    }


def badly_sealed(forger: Forger) -> dict[str, str]:
    """Tokens under other seals than ours, or under ours of other claims."""
    token = forger.token
    head, claims, seal = token().split(".")
    other_claims = token(claims={"sub": str(uuid4())}).split(".")[1]
    raw, pem = forger.public
    return {
        "no seal": f"{head}.{claims}.",
        "another seal": f"{head}.{claims}.{_segment(bytes(64)).decode()}",
        "other claims under our seal": f"{head}.{other_claims}.{seal}",
        "HS256 by the public key": token(header={"alg": "HS256"}, sign=hmac_by(raw)),
        "HS256 by the public PEM": token(header={"alg": "HS256"}, sign=hmac_by(pem)),
        "HS512 by the public key": token(header={"alg": "HS512"}, sign=hmac_by(raw, hashlib.sha512)),
        "HMAC that says EdDSA": token(sign=hmac_by(raw)),
        "alg none": token(header={"alg": "none"}, sign=lambda _: b""),
        "alg None": token(header={"alg": "None"}, sign=lambda _: b""),
        "alg none, our seal": token(header={"alg": "none"}),
        "alg null": token(header={"alg": None}),
        "alg ES256, our seal": token(header={"alg": "ES256"}),
        "a foreign key under our kid": token(sign=forger.own.sign),
        "a foreign key under its own kid": token(header={"kid": "theirs"}, sign=forger.own.sign),
        "a foreign key in the header": token(header={"jwk": _jwk(forger.own)}, sign=forger.own.sign),
        "a key to be fetched": token(header={"kid": "x", "jku": "http://127.0.0.1:1/"}, sign=forger.own.sign),
    }


def badly_headed(forger: Forger) -> dict[str, str]:
    """Tokens under our own seal whose header is not ours."""
    token = forger.token
    return {
        "our key under an unknown kid": token(header={"kid": "unknown"}),
        "kid a number": token(header={"kid": 7}),
        "kid a list": token(header={"kid": [forger.kid]}),
        "kid an object": token(header={"kid": {"kid": forger.kid}}),
        "kid null": token(header={"kid": None}),
        "kid a path": token(header={"kid": "../../../../dev/null"}, sign=hmac_by(b"")),
        "kid a path to our own": token(header={"kid": f"./{forger.kid}"}),
        "kid a statement": token(header={"kid": "' OR 1=1; --"}),
        "kid empty": token(header={"kid": ""}),
        "no kid": token(without=["kid"]),
        "typ JWT": token(header={"typ": "JWT"}),
        "typ of an id token": token(header={"typ": "id+jwt"}),
        "typ a list": token(header={"typ": ["at+jwt"]}),
        "no typ": token(without=["typ"]),
        "crit": token(header={"crit": ["backroom"], "backroom": 1}),
    }


def badly_claimed(forger: Forger) -> dict[str, str]:
    """Tokens under our own seal whose claims are not ours, or not of now."""
    second = int(now().timestamp())
    wrong: dict[str, dict[str, Any]] = {
        "another audience": {"aud": "frontroom"},
        "audience a number": {"aud": 7},
        "another issuer": {"iss": "frontroom"},
        "issuer a list": {"iss": ["backroom"]},
        "expired": {"iat": second - 901, "exp": second - 1},
        "issued in the future": {"iat": second + 60},
        "issued never": {"iat": "never"},
        "ends never": {"exp": None},
        "ends with the world": {"exp": 10**30},
        "ends at infinity": {"exp": float("inf")},
        "subject no account": {"sub": "admin"},
        "subject a number": {"sub": 1},
        "roles a number": {"roles": 1},
        "roles objects": {"roles": [{"admin": True}]},
    }
    missing = {f"no {name}": forger.token(without=[name]) for name in ("iss", "aud", "sub", "iat", "exp", "jti")}
    return missing | {name: forger.token(claims=claims) for name, claims in wrong.items()}


def headers(forger: Forger) -> dict[str, tuple[Header, ...]]:
    """The authorization headers by what is wrong with them, where it is not the token itself."""
    genuine = forger.token()
    return {
        "none": (),
        "empty": (("authorization", ""),),
        "no scheme": (("authorization", genuine),),
        "no token": (("authorization", "Bearer "),),
        "another scheme": (("authorization", f"Basic {genuine}"),),
        "two genuine ones": (("authorization", f"Bearer {genuine}"),) * 2,
        "a second one": (("authorization", f"Bearer {genuine}"), ("authorization", "Bearer x")),
        "two in one": (("authorization", f"Bearer {genuine}, Bearer {genuine}"),),
        "two spaces": (("authorization", f"Bearer  {genuine}"),),
        "another header": (("x-authorization", f"Bearer {genuine}"),),
    }


def hmac_by(key: bytes, digest: Any = hashlib.sha256) -> Signer:
    return lambda content: hmac.digest(key, content, digest)


def _segment(content: bytes) -> bytes:
    return base64.urlsafe_b64encode(content).rstrip(b"=")


def _jwk(key: Ed25519PrivateKey) -> dict[str, str]:
    x = _segment(key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)).decode()
    return {"kty": "OKP", "crv": "Ed25519", "x": x}


@pytest.fixture
async def forger(server: Running) -> Forger:
    kid, ours = await server.application.identity.keys.signing()
    account_id = (await server.sign_in("customer")).account_id
    return Forger(kid, ours, str(account_id), Ed25519PrivateKey.generate())


async def answered(server: Running, sent: tuple[Header, ...], body: bytes = b"") -> Refused:
    """How GetMe refuses these headers, with a body that need not be one."""
    path = "/backroom.identity.v1.IdentityService/GetMe"
    method: Any = server.channel.unary_unary(path)
    return await refusal(method(body, metadata=sent, timeout=30))


async def test_hostile_tokens_are_all_answered_alike(server: Running, forger: Forger) -> None:
    """One code, one reason, one text: whoever tries learns nothing of what was wrong, and the body is never read."""
    every = headers(forger)
    for tokens in (malformed, badly_sealed, badly_headed, badly_claimed):
        every |= {name: (("authorization", f"Bearer {token}"),) for name, token in tokens(forger).items()}
    expected = await answered(server, ())
    assert (expected.code, expected.reason) == (grpc.StatusCode.UNAUTHENTICATED, "TOKEN_INVALID")
    assert (expected.metadata, expected.fields) == ({}, {})
    for body in (b"", UNPARSABLE):
        answers = {name: await answered(server, sent, body) for name, sent in every.items()}
        assert {name: answer for name, answer in answers.items() if answer != expected} == {}
    assert not [line for line in await log_of(server) if line.get("fault")]


async def test_what_the_forger_makes_is_good_where_nothing_is_changed(server: Running, forger: Forger) -> None:
    """The other tests refuse their tokens for what is wrong with them, and for nothing else."""
    for scheme in ("Bearer", "bearer", "BEARER"):
        method: Any = server.channel.unary_unary(
            "/backroom.identity.v1.IdentityService/GetMe",
            response_deserializer=identity_service_pb2.GetMeResponse.FromString,
        )
        answer = await method(b"", metadata=(("authorization", f"{scheme} {forger.token()}"),))
        assert answer.user.user_id == forger.account_id


async def test_with_a_genuine_token_the_body_is_read(server: Running, forger: Forger) -> None:
    """The same body that no hostile token gets looked at is refused for what it is."""
    refused = await answered(server, (("authorization", f"Bearer {forger.token()}"),), UNPARSABLE)
    assert (refused.code, refused.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "BODY_MALFORMED")


async def test_other_secrets_of_ours_are_no_access_tokens(server: Running) -> None:
    """A refresh token and a service's key trade for access tokens, and are none."""
    await registered(server.anonymous)
    refresh_token = (await logged_in(server.anonymous)).refresh_token
    key = await server.application.identity.secrets.service_key(uuid4())
    for token in (refresh_token, key):
        refused = await answered(server, (("authorization", f"Bearer {token}"),), UNPARSABLE)
        assert (refused.code, refused.reason) == (grpc.StatusCode.UNAUTHENTICATED, "TOKEN_INVALID")


async def test_a_token_in_binary_metadata_counts_for_nothing(server: Running, forger: Forger) -> None:
    """Only the one text header is looked at."""
    metadata = (("authorization-bin", f"Bearer {forger.token()}".encode()),)
    refused = await answered(server, metadata)  # type: ignore[arg-type] # what a binary header holds is bytes
    assert refused.reason == "TOKEN_INVALID"


async def test_roles_that_no_longer_exist_permit_nothing(server: Running, forger: Forger) -> None:
    """A genuine token with a role that was taken out of the table is a token without it."""
    api = Api(server.channel, forger.token(claims={"roles": ["wizard"]}))
    assert (await me(api)).user.user_id == forger.account_id
    caller = await server.application.identity.tokens.caller_of(api.token or "")
    assert caller.permissions == frozenset()

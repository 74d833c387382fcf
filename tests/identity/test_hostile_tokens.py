"""Hostile access tokens, sent to a method that needs one."""

import asyncio
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
from server.frame.addresses import LOCAL_ISSUER
from server.frame.interceptors.base import Method
from server.frame.interceptors.validation import Validation
from server.frame.module import now
from storage.identity.records import Session
from tests.fixtures.roles import ROLES
from tests.fixtures.servers import Api, Refused, Running, refusal
from tests.identity.people import log_of, me

Header = tuple[str, str]
UNPARSABLE = b"\xff\xff\xff"
Signer = Callable[[bytes], bytes]


@dataclass(frozen=True)
class Forger:
    """Knows the format of our tokens, has our key and one of its own, and can change anything."""

    kid: str
    ours: Ed25519PrivateKey
    account_id: str
    session_id: str
    own: Ed25519PrivateKey

    def token(
        self,
        *,
        header: Mapping[str, Any] | None = None,
        claims: Mapping[str, Any] | None = None,
        without: Sequence[str] = (),
        sign: Signer | None = None,
    ) -> str:
        """A valid token, except for what is overridden."""
        parts = ({**self.header, **(header or {})}, {**self.claims, **(claims or {})})
        kept = [{name: value for name, value in part.items() if name not in without} for part in parts]
        return self.signed(*(json.dumps(part).encode() for part in kept), sign=sign)

    def signed(self, head: bytes, claims: bytes, *, sign: Signer | None = None) -> str:
        """A token of these two parts, whatever they are."""
        content = _segment(head) + b"." + _segment(claims)
        return (content + b"." + _segment((sign or self.ours.sign)(content))).decode()

    @property
    def header(self) -> Mapping[str, Any]:
        return {"alg": "EdDSA", "typ": "at+jwt", "kid": self.kid}

    @property
    def claims(self) -> Mapping[str, Any]:
        second = int(now().timestamp())
        said: dict[str, object] = {
            "iss": LOCAL_ISSUER,
            "aud": LOCAL_ISSUER,
            "client_id": LOCAL_ISSUER,
            "sub": self.account_id,
        }
        said |= {"iat": second, "exp": second + 900}
        return {**said, "jti": str(uuid4()), "sid": self.session_id, "roles": ["admin"]}

    @property
    def public(self) -> Sequence[bytes]:
        """Our public key in the forms in which it might be used as a secret."""
        key = self.ours.public_key()
        forms = ((Encoding.Raw, PublicFormat.Raw), (Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
        return [key.public_bytes(*form) for form in forms]


def malformed(forger: Forger) -> dict[str, str]:
    """Texts that are no token, by what is wrong with them."""
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
        "a little too long": forger.token(claims={"padding": "x" * 2900}),
        "a token in a token": forger.signed(json.dumps(forger.header).encode(), forger.token().encode()),
        "a token as a text": forger.signed(json.dumps(forger.header).encode(), json.dumps(forger.token()).encode()),
        "claims not UTF-8": forger.signed(json.dumps(forger.header).encode(), _spoilt(forger.claims)),
        "header not UTF-8": forger.signed(_spoilt(forger.header), json.dumps(forger.claims).encode()),
        "claims in UTF-16": forger.signed(
            json.dumps(forger.header).encode(), json.dumps(forger.claims).encode("utf-16")
        ),
        "claims behind a mark of order": forger.signed(
            json.dumps(forger.header).encode(), b"\xef\xbb\xbf" + json.dumps(forger.claims).encode()
        ),
        "deep claims": forger.signed(json.dumps(forger.header).encode(), b"[" * 2500),
        "a space in the seal": f"{head}.{claims}.{seal[:40]} {seal[40:]}",
        "padding behind the seal": f"{head}.{claims}.{seal}==",
        "padding behind the claims": f"{head}.{claims}=.{seal}",
        "signs of the other base64": f"{head}.{claims}.{seal[:-2]}+/",
        "the same seal written otherwise": f"{head}.{claims}.{seal[:-1]}{_neighbor(seal[-1])}",
        "the serialization as JSON": json.dumps({"protected": head, "payload": claims, "signature": seal}),
    }


def badly_sealed(forger: Forger) -> dict[str, str]:
    """Tokens with other signatures than ours, or with ours for other claims."""
    token = forger.token
    head, claims, seal = token().split(".")
    other_claims = token(claims={"sub": str(uuid4())}).split(".")[1]
    raw, pem = forger.public
    return {
        "no seal": f"{head}.{claims}.",
        "half a seal": f"{head}.{claims}.{seal[:43]}",
        "a seal and more": f"{head}.{claims}.{seal}AAAA",
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
    """Tokens with our signature whose header is not ours."""
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
        "crit of nothing": token(header={"crit": []}),
        "b64 false": token(header={"b64": False, "crit": ["b64"]}),
        "b64 false without crit": token(header={"b64": False}),
        "zip": token(header={"zip": "DEF"}),
        "cty": token(header={"cty": "JWT"}),
        "our key in the header": token(header={"jwk": _jwk(forger.ours)}),
        "a certificate's address": token(header={"x5u": "http://127.0.0.1:1/"}),
        "a certificate": token(header={"x5c": ["MIIB"]}),
        "typ in capitals": token(header={"typ": "AT+JWT"}),
        "alg in small letters": token(header={"alg": "eddsa"}),
        "kid in capitals": token(header={"kid": forger.kid.upper() + "G"}),
        "kid and more": token(header={"kid": f"{forger.kid}\0"}),
        "alg twice": forger.signed(_twice(forger.header, "alg", "none"), json.dumps(forger.claims).encode()),
        "kid twice": forger.signed(_twice(forger.header, "kid", "theirs"), json.dumps(forger.claims).encode()),
    }


def badly_claimed(forger: Forger) -> dict[str, str]:
    """Tokens with our signature whose claims are not ours, or not current."""
    second = int(now().timestamp())
    wrong: dict[str, dict[str, Any]] = {
        "another audience": {"aud": "frontroom"},
        "audience a number": {"aud": 7},
        "another issuer": {"iss": "frontroom"},
        "issuer a list": {"iss": [LOCAL_ISSUER]},
        "both audiences": {"aud": [LOCAL_ISSUER, "frontroom"]},
        "audience a list": {"aud": [LOCAL_ISSUER]},
        "issuer of before there was one": {"iss": "backroom", "aud": "backroom"},
        "issuer with a slash behind": {"iss": f"{LOCAL_ISSUER}/"},
        "client a number": {"client_id": 7},
        "audience empty": {"aud": ""},
        "expired": {"iat": second - 901, "exp": second - 1},
        "expired by 61 s": {"iat": second - 961, "exp": second - 61},
        "from 61 s ahead": {"iat": second + 61, "exp": second + 961},
        "not before 61 s ahead": {"nbf": second + 61},
        "not before never": {"nbf": None},
        "issued in a text": {"iat": str(second)},
        "ends in a text": {"exp": str(second + 900)},
        "ends in a fraction": {"exp": second + 900.5},
        "ends with yes": {"exp": True},
        "ends before the world": {"exp": -(10**30)},
        "id a number": {"jti": 7},
        "session no id": {"sid": "mine"},
        "session a number": {"sid": 7},
        "session null": {"sid": None},
        "session in braces": {"sid": "{" + forger.session_id + "}"},
        "a session that is none": {"sid": str(uuid4())},
        "another's session": {"sub": str(uuid4())},
        "subject null": {"sub": None},
        "subject in capitals": {"sub": forger.account_id.upper()},
        "issued never": {"iat": "never"},
        "ends never": {"exp": None},
        "ends with the world": {"exp": 10**30},
        "ends at infinity": {"exp": float("inf")},
        "subject no account": {"sub": "admin"},
        "subject a number": {"sub": 1},
    }
    required = ("iss", "aud", "sub", "client_id", "sid", "iat", "exp", "jti")
    missing = {f"no {name}": forger.token(without=[name]) for name in required}
    head = json.dumps(forger.header).encode()
    others = {"sub": str(uuid4()), "exp": second + 10**6, "aud": "frontroom", "sid": str(uuid4())}
    twice = {f"{name} twice": forger.signed(head, _twice(forger.claims, name, others[name])) for name in others}
    inside = forger.signed(
        head, json.dumps({**forger.claims, "more": 0}).encode().replace(b": 0}", b': {"a": 1, "a": 2}}')
    )
    return missing | twice | {"twice deep inside": inside} | {n: forger.token(claims=c) for n, c in wrong.items()}


def headers(forger: Forger) -> dict[str, tuple[Header, ...]]:
    """Invalid authorization headers with a valid token, by what is wrong with them."""
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


def _twice(part: Mapping[str, Any], name: str, first: object) -> bytes:
    """The part with a duplicate member, before all others."""
    return f"{{{json.dumps(name)}: {json.dumps(first)}, {json.dumps(part)[1:]}".encode()


def _spoilt(part: Mapping[str, Any]) -> bytes:
    """The part with one more member, whose value is not UTF-8."""
    return json.dumps(part).encode()[:-1] + b', "more": "\xff"}'


def _neighbor(digit: str) -> str:
    """A last digit that encodes the same bits of a signature, since four of its bits are unused."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    return alphabet[alphabet.index(digit) ^ 1]


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
    api = await server.sign_in("customer")
    said = await server.application.identity.tokens.verified(api.token or "")
    return Forger(kid, ours, str(api.account_id), str(said.issued_for), Ed25519PrivateKey.generate())


@pytest.fixture
def parses(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """Each body that a server started from here on parses."""
    seen: list[bytes] = []
    parse = Validation.parse

    def counting(self: Validation, method: Method, body: bytes) -> Any:
        seen.append(body)
        return parse(self, method, body)

    monkeypatch.setattr(Validation, "parse", counting)
    return seen


async def answered(server: Running, sent: tuple[Header, ...], body: bytes = b"") -> Refused:
    """How GetMe refuses these headers, with a body that need not be valid."""
    path = "/backroom.identity.v1.IdentityService/GetMe"
    method: Any = server.channel.unary_unary(path)
    return await refusal(method(body, metadata=sent, timeout=30))


async def test_hostile_tokens_all_get_the_same_refusal(parses: list[bytes], server: Running, forger: Forger) -> None:
    """One code, one reason, one text: an attacker learns nothing of what was wrong, and the body is never parsed."""
    every = headers(forger)
    for tokens in (malformed, badly_sealed, badly_headed, badly_claimed):
        every |= {name: (("authorization", f"Bearer {token}"),) for name, token in tokens(forger).items()}
    assert len(every) > 100
    expected = await answered(server, ())
    assert (expected.code, expected.reason) == (grpc.StatusCode.UNAUTHENTICATED, "TOKEN_INVALID")
    assert (expected.metadata, expected.fields) == ({}, {})
    for body in (b"", UNPARSABLE):
        refusals = await asyncio.gather(*(answered(server, sent, body) for sent in every.values()))
        answers = dict(zip(every, refusals, strict=True))
        assert {name: answer for name, answer in answers.items() if answer != expected} == {}
    assert not [line for line in await log_of(server) if line.get("fault")]
    assert parses == []
    await answered(server, (("authorization", f"Bearer {forger.token()}"),), UNPARSABLE)
    assert parses == [UNPARSABLE]


async def test_the_forgers_unchanged_token_is_valid(server: Running, forger: Forger) -> None:
    """So the other tests refuse their tokens only for what is wrong with them."""
    for scheme in ("Bearer", "bearer", "BEARER"):
        method: Any = server.channel.unary_unary(
            "/backroom.identity.v1.IdentityService/GetMe",
            response_deserializer=identity_service_pb2.GetMeResponse.FromString,
        )
        answer = await method(b"", metadata=(("authorization", f"{scheme} {forger.token()}"),))
        assert answer.user.user_id == forger.account_id


async def test_with_a_genuine_token_the_body_is_read(server: Running, forger: Forger) -> None:
    """The same body, which is never read with a hostile token, is refused for its own fault."""
    refused = await answered(server, (("authorization", f"Bearer {forger.token()}"),), UNPARSABLE)
    assert (refused.code, refused.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "BODY_MALFORMED")


async def test_other_secrets_of_ours_are_no_access_tokens(server: Running) -> None:
    """A refresh token and a service's key can be exchanged for access tokens, but are none."""
    session = Session(uuid4(), uuid4(), 1, now(), now(), now(), None)
    secrets = server.application.identity.secrets
    refresh_token = await secrets.refresh_token(session)
    key = (await secrets.key_making(now())).key(uuid4())
    for token in (refresh_token, key):
        refused = await answered(server, (("authorization", f"Bearer {token}"),), UNPARSABLE)
        assert (refused.code, refused.reason) == (grpc.StatusCode.UNAUTHENTICATED, "TOKEN_INVALID")


async def test_a_token_in_binary_metadata_is_ignored(server: Running, forger: Forger) -> None:
    """Only the one text header is read."""
    metadata = (("authorization-bin", f"Bearer {forger.token()}".encode()),)
    refused = await answered(server, metadata)  # type: ignore[arg-type] # what a binary header holds is bytes
    assert refused.reason == "TOKEN_INVALID"


async def test_roles_in_a_token_grant_nothing(server: Running, forger: Forger) -> None:
    """Not even with our signature: what an account may do is read from the database."""
    answer = await me(Api(server.channel, forger.token(claims={"roles": ["admin"]})))
    assert answer.user.user_id == forger.account_id
    assert set(answer.permissions) == ROLES["customer"]


async def test_a_token_from_a_clock_slightly_ahead_is_accepted(server: Running, forger: Forger) -> None:
    """A few seconds between two servers' clocks lock nobody out."""
    second = int(now().timestamp())
    for claims in ({"iat": second + 4}, {"nbf": second + 4}):
        assert (await me(Api(server.channel, forger.token(claims=claims)))).user.user_id == forger.account_id

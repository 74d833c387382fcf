"""Whether an access token is one of ours, and of now: its form, its signature and its claims."""

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from server.frame import base64url
from server.frame.errors import TokenInvalid
from server.identity.keys import KeyRing

ALGORITHM = "EdDSA"
TYPE = "at+jwt"
"""RFC 9068: an access token, which no other kind of JWT can pass for."""
LONGEST = 4096
"""In characters."""
SKEW = timedelta(seconds=5)
"""How far the clocks of two servers may be apart."""

_FORM = re.compile(r"([0-9A-Za-z_-]+)\.([0-9A-Za-z_-]+)\.([0-9A-Za-z_-]{86})")
_KID = re.compile(r"[0-9a-f]{16}")
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_REQUIRED = ["iss", "aud", "sub", "client_id", "sid", "iat", "exp", "jti"]


@dataclass(frozen=True, slots=True)
class Verified:
    """What a token of ours says; not whether its account may still come in."""

    account_id: UUID
    issued_for: UUID
    """The session, or the key of a service."""
    kid: str
    """Which key signed it."""
    expire_time: datetime


class Verifier:
    """Holds tokens against what we issue, and takes nothing that only resembles it (RFC 8725).

    There is one algorithm, and a header of exactly three parameters: a token cannot bring along its key, an address of
    one, or an extension. A member that stands twice in a JSON object is refused, since two readers may take one each.
    """

    def __init__(self, keys: KeyRing, now: Callable[[], datetime], issuer: str) -> None:
        """`issuer` is the URL of this environment: a token of another one is none of ours."""
        self._keys = keys
        self._now = now
        self._issuer = issuer

    async def verified(self, token: str) -> Verified:
        """Raises TokenInvalid, whatever is wrong."""
        form = _FORM.fullmatch(token) if len(token) <= LONGEST else None
        if form is None:
            raise TokenInvalid
        try:
            kid = _kid(_json(form[1]))
            key = await self._keys.verifying(kid)
            if key is None:
                raise TokenInvalid
            claims = _claims(token, form.groups(), key, self._issuer)
            return self._read(claims, kid)
        except (jwt.PyJWTError, ValueError, TypeError, OverflowError, RecursionError):
            raise TokenInvalid from None

    def _read(self, claims: dict[str, Any], kid: str) -> Verified:
        now = self._now()
        earliest = [_time(claims[name]) for name in ("iat", "nbf") if name in claims]
        expire = _time(claims["exp"])
        if max(earliest) > now + SKEW or now >= expire:
            raise TokenInvalid
        if not isinstance(claims["client_id"], str):
            raise TypeError
        return Verified(_uuid(claims["sub"]), _uuid(claims["sid"]), kid, expire)


def _claims(token: str, parts: Sequence[str], key: Ed25519PublicKey, issuer: str) -> dict[str, Any]:
    """The claims under a signature of this key; raises jwt.PyJWTError, ValueError."""
    if base64url.encoded(base64url.decoded(parts[2])) != parts[2]:
        raise ValueError("another way to write the same signature")
    jwt.decode(
        token,
        key,
        algorithms=[ALGORITHM],
        issuer=issuer,
        audience=issuer,
        # The times are held against the injected clock instead.
        options={
            "require": _REQUIRED,
            "strict_aud": True,
            "verify_exp": False,
            "verify_iat": False,
            "verify_nbf": False,
        },
    )
    return _json(parts[1])


def _kid(header: dict[str, Any]) -> str:
    kid = header.get("kid")
    if set(header) != {"alg", "typ", "kid"} or header["alg"] != ALGORITHM or header["typ"] != TYPE:
        raise ValueError("not a header of ours")
    if not isinstance(kid, str) or not _KID.fullmatch(kid):
        raise ValueError("not a key id of ours")
    return kid


def _json(part: str) -> dict[str, Any]:
    """Raises ValueError, TypeError, RecursionError."""
    found = json.loads(base64url.decoded(part).decode(), object_pairs_hook=_members, parse_constant=_no_constant)
    if not isinstance(found, dict):
        raise TypeError("no object")
    return found


def _members(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a member stands there twice")
    return members


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")


def _time(seconds: object) -> datetime:
    if type(seconds) is not int:
        raise TypeError
    return datetime.fromtimestamp(seconds, UTC)


def _uuid(text: object) -> UUID:
    if not isinstance(text, str) or not _UUID.fullmatch(text):
        raise ValueError("no id of ours")
    return UUID(text)

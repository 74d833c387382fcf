"""Access tokens: made here, and checked here."""

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from uuid_utils import uuid4

from server.frame import base64url
from server.frame.errors import TokenInvalid
from server.identity.credentials.keys import KeyRing
from server.identity.rules.sessions import ACCESS_TOKEN_LIFE
from storage.identity.records import Account, AccountKind

ALGORITHM = "EdDSA"
TYPE = "at+jwt"
"""RFC 9068: an access token, which no other kind of JWT can pass for."""
MAX_TOKEN_CHARACTERS = 4096
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
        form = _FORM.fullmatch(token) if len(token) <= MAX_TOKEN_CHARACTERS else None
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


class AccessTokens:
    """Access tokens: JWTs signed with Ed25519, the algorithm pinned, of 15 minutes (RFC 8725, RFC 9068).

    A token says who its account is and what it was issued for, and no more that counts: what the account may do, and
    whether it may still come in, is looked up (`server.identity.credentials.access_cache`).
    """

    def __init__(self, keys: KeyRing, now: Callable[[], datetime], issuer: str) -> None:
        """`issuer` is the URL of this environment, BACKROOM_ISSUER."""
        self._keys = keys
        self._now = now
        self._issuer = issuer
        self._verifier = Verifier(keys, now, issuer)

    async def issue(self, account: Account, issued_for: UUID, *, until: datetime | None = None) -> tuple[str, datetime]:
        """A token for the account, issued for a session or a key, and when it ends: at `until` at the latest."""
        kid, key = await self._keys.signing()
        now = self._now()
        expire = now + ACCESS_TOKEN_LIFE
        if until is not None:
            expire = min(expire, until)
        claims = {
            "iss": self._issuer,
            "aud": self._issuer,
            "sub": str(account.id),
            # Who asked for it: a service for itself; for a person it was our own Login.
            "client_id": str(account.id) if account.kind is AccountKind.SERVICE else self._issuer,
            "iat": int(now.timestamp()),
            "exp": int(expire.timestamp()),
            "jti": str(uuid4()),
            "sid": str(issued_for),
            # For others who read our tokens by the key set. We decide by the roles of now, and never by this claim.
            "roles": list(account.roles),
        }
        headers = {"kid": kid, "typ": TYPE}
        return jwt.encode(claims, key, algorithm=ALGORITHM, headers=headers), expire.replace(microsecond=0)

    async def verified(self, token: str) -> Verified:
        """What a token says; raises TokenInvalid where it is not one of ours, or not of now."""
        return await self._verifier.verified(token)

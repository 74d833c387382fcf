"""Tokens and keys as callers hold them: made here, and checked here."""

import base64
import binascii
import hashlib
import hmac
from collections import OrderedDict
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import jwt
from uuid_utils import uuid4

from server.frame.caller import Caller
from server.frame.errors import TokenInvalid
from server.identity.errors import CredentialsInvalid
from server.identity.keys import KeyRing
from server.identity.roles import permissions_of
from server.identity.rules import ACCESS_TOKEN_LIFE, RefreshClaim
from storage.identity.records import Account, Session

ISSUER = AUDIENCE = "backroom"
ALGORITHM = "EdDSA"
TYPE = "at+jwt"
"""RFC 9068: an access token, which no other kind of JWT can pass for."""

_SKEW = timedelta(seconds=5)
"""How far the clocks of two servers may be apart."""
_REMEMBERED = 10_000
_LONGEST = 4096
_REQUIRED = ["iss", "aud", "sub", "iat", "exp", "jti"]


class AccessTokens:
    """Access tokens: JWTs signed with Ed25519, the algorithm pinned, of 15 minutes (RFC 8725, RFC 9068).

    A token once verified is remembered until it expires, since a signature's check costs more than all the rest of
    access; the memory is bounded, and forgets the longest unseen first.
    """

    def __init__(self, keys: KeyRing, now: Callable[[], datetime]) -> None:
        self._keys = keys
        self._now = now
        self._seen: OrderedDict[str, tuple[Caller, datetime]] = OrderedDict()

    async def issue(self, account: Account) -> tuple[str, datetime]:
        """A token for the account with the roles it has now, and when it ends."""
        kid, key = await self._keys.signing()
        now = self._now()
        expire = now + ACCESS_TOKEN_LIFE
        claims = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": str(account.id),
            "iat": int(now.timestamp()),
            "exp": int(expire.timestamp()),
            "jti": str(uuid4()),
            "roles": list(account.roles),
        }
        headers = {"kid": kid, "typ": TYPE}
        return jwt.encode(claims, key, algorithm=ALGORITHM, headers=headers), expire.replace(microsecond=0)

    async def caller_of(self, token: str) -> Caller:
        """Whom the token stands for; raises TokenInvalid where it is not one of ours, or not of now."""
        seen = self._seen.get(token)
        if seen is None:
            seen = await self._verified(token)
            self._seen[token] = seen
            if len(self._seen) > _REMEMBERED:
                self._seen.popitem(last=False)
        else:
            self._seen.move_to_end(token)
        caller, expire = seen
        if self._now() >= expire:
            self._seen.pop(token, None)
            raise TokenInvalid
        return caller

    async def _verified(self, token: str) -> tuple[Caller, datetime]:
        if len(token) > _LONGEST:
            raise TokenInvalid
        try:
            header = jwt.get_unverified_header(token)
            kid = header.get("kid")
            key = await self._keys.verifying(kid) if isinstance(kid, str) else None
            if key is None or header.get("typ") != TYPE:
                raise TokenInvalid
            claims = jwt.decode(
                token,
                key,
                algorithms=[ALGORITHM],
                issuer=ISSUER,
                audience=AUDIENCE,
                # The times are held against the injected clock instead.
                options={"require": _REQUIRED, "verify_exp": False, "verify_iat": False, "verify_nbf": False},
            )
            return self._read(claims)
        except (jwt.PyJWTError, ValueError, TypeError, OverflowError):
            raise TokenInvalid from None

    def _read(self, claims: dict[str, Any]) -> tuple[Caller, datetime]:
        issued = datetime.fromtimestamp(claims["iat"], UTC)
        if issued > self._now() + _SKEW:
            raise TokenInvalid
        caller = Caller(UUID(claims["sub"]), permissions_of(claims.get("roles", ())))
        return caller, datetime.fromtimestamp(claims["exp"], UTC)


class Secrets:
    """Refresh tokens and service keys: derived from the key ring, so that an answer can be given twice.

    A refresh token names its session and generation and is sealed with a MAC; nothing of it is stored.
    A service key is derived from its account's id; a hash of it is stored.
    """

    REFRESH_PREFIX = "brr_"
    KEY_PREFIX = "brk_"

    def __init__(self, keys: KeyRing) -> None:
        self._keys = keys

    async def refresh_token(self, session: Session) -> str:
        claim = session.id.bytes + session.generation.to_bytes(4)
        return self.REFRESH_PREFIX + _text(claim + await self._mac("refresh-token", claim))

    async def read_refresh_token(self, token: str) -> RefreshClaim:
        """What a genuine token says; raises CredentialsInvalid for any other."""
        if not token.startswith(self.REFRESH_PREFIX):
            raise CredentialsInvalid
        try:
            content = _bytes(token.removeprefix(self.REFRESH_PREFIX))
        except (ValueError, binascii.Error):
            raise CredentialsInvalid from None
        claim, mac = content[:20], content[20:]
        if len(claim) != 20 or not hmac.compare_digest(mac, await self._mac("refresh-token", claim)):
            raise CredentialsInvalid
        return RefreshClaim(UUID(bytes=claim[:16]), int.from_bytes(claim[16:]))

    async def service_key(self, account_id: UUID) -> str:
        """The key of a service account: 160 bits."""
        return self.KEY_PREFIX + _text((await self._mac("service-key", account_id.bytes))[:20])

    async def request_secret(self) -> bytes:
        """What digests of requests that hold a password are keyed with."""
        return await self._keys.secret("request-digest")

    async def _mac(self, purpose: str, content: bytes) -> bytes:
        return hmac.digest(await self._keys.secret(purpose), content, hashlib.sha256)


def key_hash(key: str) -> bytes:
    """What is stored of a service key; it holds 160 random bits, so that no slow hash is needed."""
    return hashlib.sha256(key.encode()).digest()


def _text(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).decode().rstrip("=")


def _bytes(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)

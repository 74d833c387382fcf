"""Access tokens: made here, and checked here."""

from collections import OrderedDict
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import jwt
from uuid_utils import uuid4

from server.frame.caller import Caller
from server.frame.errors import TokenInvalid
from server.identity.keys import KeyRing
from server.identity.roles import permissions_of
from server.identity.rules.sessions import ACCESS_TOKEN_LIFE
from storage.identity.records import Account

ISSUER = AUDIENCE = "backroom"
ALGORITHM = "EdDSA"
TYPE = "at+jwt"
"""RFC 9068: an access token, which no other kind of JWT can pass for."""

_SKEW = timedelta(seconds=5)
"""How far the clocks of two servers may be apart."""
_REMEMBERED = 10_000
_LONGEST = 4096
_REQUIRED = ["iss", "aud", "sub", "sid", "iat", "exp", "jti"]


class AccessTokens:
    """Access tokens: JWTs signed with Ed25519, the algorithm pinned, of 15 minutes (RFC 8725, RFC 9068).

    A token once verified is remembered until it expires, since a signature's check costs more than all the rest of
    access; the memory is bounded, and forgets the longest unseen first.
    """

    def __init__(self, keys: KeyRing, now: Callable[[], datetime]) -> None:
        self._keys = keys
        self._now = now
        self._seen: OrderedDict[str, tuple[Caller, datetime]] = OrderedDict()

    async def issue(self, account: Account, issued_for: UUID) -> tuple[str, datetime]:
        """A token for the account, issued for a session or a key, and when it ends."""
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
            "sid": str(issued_for),
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
        caller = Caller(UUID(claims["sub"]), permissions_of(claims.get("roles", ())), UUID(claims["sid"]))
        return caller, datetime.fromtimestamp(claims["exp"], UTC)

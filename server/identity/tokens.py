"""Access tokens: made here, and checked here."""

from collections.abc import Callable
from datetime import datetime
from uuid import UUID

import jwt
from uuid_utils import uuid4

from server.identity.keys import KeyRing
from server.identity.rules.sessions import ACCESS_TOKEN_LIFE
from server.identity.verifying import ALGORITHM, TYPE, Verified, Verifier
from storage.identity.records import Account, AccountKind


class AccessTokens:
    """Access tokens: JWTs signed with Ed25519, the algorithm pinned, of 15 minutes (RFC 8725, RFC 9068).

    A token says who its account is and what it was issued for, and no more that counts: what the account may do, and
    whether it may still come in, is looked up (`server.identity.standing`).
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

"""Refresh tokens and keys as callers hold them: derived here, and read here."""

import base64
import binascii
import hashlib
import hmac
from uuid import UUID

from server.identity.errors import CredentialsInvalid
from server.identity.keys import KeyRing
from server.identity.rules.sessions import RefreshClaim
from storage.identity.records import Session


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

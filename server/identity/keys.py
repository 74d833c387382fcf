"""The keys that sign access tokens and derive other secrets, kept in the database for all servers alike."""

import base64
import hashlib
import hmac
import secrets
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from storage.database import Database
from storage.identity.records import Key, KeyUse

_RELOAD_AFTER = timedelta(seconds=1)
"""A key id that nobody knows makes the keys be read again, at most this often."""


class KeyRing:
    """The keys, read when first needed, and made by the first server that finds none."""

    def __init__(self, database: Database, now: Callable[[], datetime]) -> None:
        self._database = database
        self._now = now
        self._keys: Sequence[Key] = ()
        self._public: Mapping[str, Ed25519PublicKey] = {}
        self._loaded: datetime | None = None

    async def signing(self) -> tuple[str, Ed25519PrivateKey]:
        """The active signing key and its id."""
        key = await self._active(KeyUse.SIGN)
        return key.id, Ed25519PrivateKey.from_private_bytes(key.material)

    async def verifying(self, kid: str) -> Ed25519PublicKey | None:
        """The public key of this id; None where there is none."""
        await self._load(unless=lambda: kid in self._public)
        return self._public.get(kid)

    async def secret(self, purpose: str) -> bytes:
        """32 bytes for one purpose, the same on every server."""
        key = await self._active(KeyUse.DERIVE)
        return hmac.digest(key.material, purpose.encode(), hashlib.sha256)

    async def jwks(self) -> dict[str, list[dict[str, str]]]:
        """The public keys as a JSON Web Key Set (RFC 7517, RFC 8037)."""
        await self._load(unless=lambda: bool(self._public))
        return {"keys": [_jwk(kid, key) for kid, key in self._public.items()]}

    async def _active(self, use: KeyUse) -> Key:
        def found() -> list[Key]:
            return [key for key in self._keys if key.use is use and key.retire_time is None]

        await self._load(unless=lambda: bool(found()))
        return found()[-1]

    async def _load(self, *, unless: Callable[[], bool]) -> None:
        now = self._now()
        if unless() or (self._loaded is not None and now - self._loaded < _RELOAD_AFTER):
            return
        async with self._database.reading() as tx:
            keys = await tx.keys.list_all()
        missing = set(KeyUse) - {key.use for key in keys if key.retire_time is None}
        if missing:
            async with self._database.transaction() as tx:
                for use in sorted(missing):
                    await tx.keys.add(_new_key(use, now))
            async with self._database.reading() as tx:
                keys = await tx.keys.list_all()
        self._keys = keys
        self._public = {key.id: _public(key) for key in keys if key.use is KeyUse.SIGN}
        self._loaded = now


def _new_key(use: KeyUse, now: datetime) -> Key:
    # An Ed25519 private key is any 32 random bytes (RFC 8032).
    return Key(secrets.token_hex(8), use, secrets.token_bytes(32), now, None)


def _public(key: Key) -> Ed25519PublicKey:
    return Ed25519PrivateKey.from_private_bytes(key.material).public_key()


def _jwk(kid: str, key: Ed25519PublicKey) -> dict[str, Any]:
    raw = key.public_bytes(Encoding.Raw, PublicFormat.Raw)
    x = base64.urlsafe_b64encode(raw).decode().rstrip("=")
    return {"kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "use": "sig", "kid": kid, "x": x}

"""The keys that sign access tokens and derive other secrets, kept in the database for all servers alike."""

import asyncio
import hashlib
import hmac
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from server.frame import base64url
from server.frame.sealing import MasterKeys, SealBroken
from server.identity.rules import keys as rules
from storage.errors import StoreError
from storage.identity.records import Key, KeyUse
from storage.identity.store import IdentityStore, IdentityTransaction

_CACHE_SECONDS = 1.0
"""In seconds: a key is chosen to sign or derive with among those that were read so long ago at most."""
_READ_INTERVAL_SECONDS = 0.2
"""In seconds: however many ask for keys that nobody knows, they are read anew no more often."""


class MasterKeyWrong(Exception):
    """The master key does not open the keys of this database."""


class KeyRing:
    """The keys, read when they are needed, and made by the first server that finds none.

    A key is published before it signs for longer than any server goes without reading the keys anew. Whoever asks for a
    key that is not known waits for a reading that began afterwards: a server learns of a new key at its first token.
    """

    def __init__(
        self,
        store: IdentityStore,
        master_keys: MasterKeys,
        now: Callable[[], datetime],
        elapsed: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._master_keys = master_keys
        self._now = now
        self._elapsed = elapsed
        self._reading = asyncio.Lock()
        self._read_at = float("-inf")
        self._keys: Sequence[Key] = ()
        self._public: Mapping[str, Ed25519PublicKey] = {}

    @property
    def loaded(self) -> bool:
        """Whether the keys were ever read."""
        return bool(self._keys)

    async def signing(self) -> tuple[str, Ed25519PrivateKey]:
        """The active signing key and its id."""
        await self.fresh()
        key = self._active(KeyUse.SIGN, self._now())
        return key.id, Ed25519PrivateKey.from_private_bytes(key.material)

    async def verifying(self, kid: str) -> Ed25519PublicKey | None:
        """The public key of this id; None where there is none, or nothing that it signed is taken any more."""
        if kid not in self._public:
            await self._read_since(self._elapsed())
        return self._public.get(kid)

    async def secret(self, purpose: str) -> bytes:
        """32 bytes for one purpose, the same on every server and for ever, whatever keys are changed."""
        if not self._keys:
            await self._read_since(self._elapsed())
        key = rules.first(self._keys)
        assert key is not None  # noqa: S101 - a reading makes the keys that it does not find
        return _derived(key, purpose)

    async def deriving(self, purpose: str, at: datetime) -> bytes:
        """32 bytes for one purpose, by the key that was active at a time."""
        await self.fresh()
        return _derived(self._active(KeyUse.DERIVE, at), purpose)

    async def derived(self, purpose: str, *, anew: bool = False) -> Sequence[bytes]:
        """32 bytes for one purpose by each key whose work is taken, the latest first; with `anew`, by all of now."""
        await self._read_since(self._elapsed() - (0 if anew else _CACHE_SECONDS))
        return [_derived(key, purpose) for key in rules.accepted(self._keys, KeyUse.DERIVE, self._now())]

    async def kept(self, purpose: str) -> Sequence[bytes]:
        """32 bytes for one purpose by each key that is kept, revoked or not: for answers that are given again."""
        await self.fresh()
        return [_derived(key, purpose) for key in rules.of_use(self._keys, KeyUse.DERIVE)]

    async def jwks(self) -> dict[str, list[dict[str, str]]]:
        """The public keys as a JSON Web Key Set (RFC 7517, RFC 8037); those known last while the database is away."""
        try:
            await self.fresh()
        except StoreError:
            if not self._public:
                raise
        return {"keys": [_jwk(kid, key) for kid, key in self._public.items()]}

    async def fresh(self) -> None:
        """Reads the keys anew where they are not those of this second."""
        await self._read_since(self._elapsed() - _CACHE_SECONDS)

    async def load(self) -> None:
        """Reads the keys anew, seals what stands there in the clear, and makes those that are missing.

        Raises MasterKeyWrong.
        """
        await self._read_since(self._elapsed())

    def _active(self, use: KeyUse, at: datetime) -> Key:
        key = rules.active(self._keys, use, at)
        assert key is not None  # noqa: S101 - a reading makes the keys that it does not find
        return key

    async def _read_since(self, moment: float) -> None:
        """Returns once the keys are known by a reading that began at this moment or later."""
        if self._read_at >= moment:
            return
        async with self._reading:
            if self._read_at >= moment:
                return
            await asyncio.sleep(max(0.0, self._read_at + _READ_INTERVAL_SECONDS - self._elapsed()))
            began = self._elapsed()
            await self._read()
            self._read_at = began

    async def _read(self) -> None:
        async with self._store.reading() as reading:
            kept = await reading.keys.list_all()
        if _missing_uses(kept):
            async with self._store.transaction() as tx:
                kept = await completed(tx, self._master_keys, self._now())
        opened = [replace(key, material=opened_material(key, self._master_keys)) for key in rules.trusted(kept)]
        self._public = {key.id: _public(key) for key in rules.accepted(opened, KeyUse.SIGN, self._now())}
        self._keys = opened


async def completed(tx: IdentityTransaction, master_keys: MasterKeys, now: datetime) -> Sequence[Key]:
    """The keys as they are kept once all are sealed and none is missing; until the end of `tx` nobody changes them."""
    await tx.keys.lock()
    kept = await tx.keys.list_all()
    for key in rules.trusted(kept):
        if not key.sealed:
            await tx.keys.seal(key.id, master_keys.seal(_purpose(key), key.material))
    for use in KeyUse:
        if rules.active(rules.trusted(kept), use, now) is None:
            await tx.keys.add(new_key(use, master_keys, now, now))
    return rules.trusted(await tx.keys.list_all())


def new_key(use: KeyUse, master_keys: MasterKeys, now: datetime, activate_time: datetime) -> Key:
    """A random key, sealed."""
    # An Ed25519 private key is any 32 random bytes (RFC 8032).
    key = Key(secrets.token_hex(8), use, secrets.token_bytes(32), False, now, activate_time)
    return replace(key, material=master_keys.seal(_purpose(key), key.material), sealed=True)


def opened_material(key: Key, master_keys: MasterKeys) -> bytes:
    """Raises MasterKeyWrong."""
    try:
        return master_keys.open(_purpose(key), key.material)
    except SealBroken:
        raise MasterKeyWrong from None


def resealed(key: Key, master_keys: MasterKeys) -> bytes | None:
    """The material sealed by the first master key; None where it is. Raises MasterKeyWrong."""
    if master_keys.sealed_by_first(key.material):
        return None
    return master_keys.seal(_purpose(key), opened_material(key, master_keys))


def _missing_uses(kept: Sequence[Key]) -> bool:
    return {key.use for key in kept if key.sealed and key.revoke_time is None} != set(KeyUse)


def _purpose(key: Key) -> str:
    """What the seal is bound to: no key can stand in for another, or for another use."""
    return f"identity.keys/{key.use}/{key.id}"


def _derived(key: Key, purpose: str) -> bytes:
    return hmac.digest(key.material, purpose.encode(), hashlib.sha256)


def _public(key: Key) -> Ed25519PublicKey:
    return Ed25519PrivateKey.from_private_bytes(key.material).public_key()


def _jwk(kid: str, key: Ed25519PublicKey) -> dict[str, Any]:
    raw = key.public_bytes(Encoding.Raw, PublicFormat.Raw)
    parameters = {"kty": "OKP", "crv": "Ed25519", "x": base64url.encoded(raw)}
    return {**parameters, "alg": "EdDSA", "use": "sig", "kid": kid}

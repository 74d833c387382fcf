"""Secrets that have to be kept readable, sealed by a key that is kept apart from the database."""

import base64
import hashlib
import hmac
import secrets
from collections.abc import Mapping, Sequence

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from storage.frame.records import AuditKey

_VERSION = b"\x01"
_ID_SIZE = 4
_NONCE_SIZE = 12
_KEY_SIZE = 32


class MasterKeyMalformed(ValueError):
    """A master key is 32 bytes in base64."""


class SealBroken(Exception):
    """What was sealed is damaged, was sealed for another purpose, or by a master key that is not given."""


def new_master_key() -> str:
    """A new master key, as it is written into the settings."""
    return base64.b64encode(secrets.token_bytes(_KEY_SIZE)).decode()


def read_master_key(text: str) -> bytes:
    """Raises MasterKeyMalformed."""
    try:
        key = base64.b64decode(text.strip(), validate=True)
    except ValueError:
        raise MasterKeyMalformed from None
    if len(key) != _KEY_SIZE:
        raise MasterKeyMalformed
    return key


class MasterKeys:
    """Seals with AES-256-GCM by the first key; opens what any of them sealed, so that they can be changed one after the
    other.

    No key is used for two things: one to seal, one to sign and one to sign the record with are derived from each
    (HMAC-SHA256).
    A seal holds: its version, the key's id (4 bytes), a random nonce (12 bytes), the ciphertext with its tag. The
    purpose is authenticated along, so that what was sealed for one place opens in no other.
    """

    def __init__(self, keys: Sequence[bytes]) -> None:
        """At least one key, of 32 bytes each."""
        self._sealing = {_id(key): AESGCM(_derived(key, "seal")) for key in keys}
        self._signing = {_id(key): _derived(key, "sign") for key in keys}
        self._first = _id(keys[0])
        self.audit_keys: Mapping[str, AuditKey] = {
            _id(key).hex(): AuditKey(_id(key).hex(), _derived(key, "audit")) for key in keys
        }
        """What the record may have been signed with, by the id."""

    @property
    def audit_key(self) -> AuditKey:
        """What the record is signed with from now on."""
        return self.audit_keys[self._first.hex()]

    def seal(self, purpose: str, content: bytes) -> bytes:
        nonce = secrets.token_bytes(_NONCE_SIZE)
        head = _VERSION + self._first
        return head + nonce + self._sealing[self._first].encrypt(nonce, content, head + purpose.encode())

    def open(self, purpose: str, sealed: bytes) -> bytes:
        """Raises SealBroken."""
        head, rest = sealed[: 1 + _ID_SIZE], sealed[1 + _ID_SIZE :]
        cipher = self._sealing.get(head[1:])
        if head[:1] != _VERSION or cipher is None:
            raise SealBroken
        try:
            return cipher.decrypt(rest[:_NONCE_SIZE], rest[_NONCE_SIZE:], head + purpose.encode())
        except (InvalidTag, ValueError):
            raise SealBroken from None

    def sign(self, purpose: str, content: bytes) -> bytes:
        """A signature of content that anybody may read: the first key's id, and 32 bytes; the same each time."""
        return self._first + _signature(self._signing[self._first], purpose, content)

    def signed(self, purpose: str, content: bytes, signature: bytes) -> bool:
        """Whether any of the keys signed this, for this purpose."""
        key = self._signing.get(signature[:_ID_SIZE])
        return key is not None and hmac.compare_digest(_signature(key, purpose, content), signature[_ID_SIZE:])

    def sealed_by_first(self, sealed: bytes) -> bool:
        """Whether it is sealed by the current key already."""
        return sealed.startswith(self.first_mark)

    @property
    def first_mark(self) -> bytes:
        """How everything begins that the first key sealed."""
        return _VERSION + self._first


def _signature(key: bytes, purpose: str, content: bytes) -> bytes:
    # A key for each purpose: no purpose and content can be read as another purpose and content.
    return hmac.digest(hmac.digest(key, purpose.encode(), hashlib.sha256), content, hashlib.sha256)


def _derived(key: bytes, purpose: str) -> bytes:
    return hmac.digest(key, f"backroom/{purpose}".encode(), hashlib.sha256)


def _id(key: bytes) -> bytes:
    return _derived(key, "id")[:_ID_SIZE]

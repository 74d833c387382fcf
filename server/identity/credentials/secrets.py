"""Refresh tokens, API keys and tokens of mails as callers hold them: made here, and read here."""

import hashlib
import hmac
import secrets
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final
from uuid import UUID

from server.frame import base64url
from server.identity.credentials.keys import KeyRing
from server.identity.errors import CredentialsInvalid
from server.identity.rules.sessions import RefreshTokenContent
from storage.identity.records import MailPurpose, Session

_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_KEY_BYTES = 20
_KEY_DIGITS = 27
"""160 bits to the base of 62."""
_CHECK_DIGITS = 6
"""A CRC-32 to the base of 62."""
_EARLIER_KEY = 27
"""What stood behind the prefix of keys before they had a checksum, base64."""
_PAYLOAD_BYTES = 20
_MAC_BYTES = 32
PREFIXES: Final = {MailPurpose.VERIFY: "brv_", MailPurpose.RESET: "brp_"}
_MAIL_TOKEN_BYTES = 20


class Secrets:
    """Refresh tokens and API keys: derived from the key ring, so that an answer can be given twice.

    A refresh token names its session and generation and is sealed with a MAC; nothing of it is stored. Its MAC is by
    the key that was active when its session was refreshed, so that it is the same when it is given once more.
    An API key is derived from its id; a hash of it is stored. What of it is shown, and what scanners look for, is:
    "brk_", 160 bits as 27 letters and digits, and a CRC-32 over all that as 6 more.
    """

    REFRESH_PREFIX = "brr_"
    KEY_PREFIX = "brk_"

    def __init__(self, keys: KeyRing) -> None:
        self._keys = keys

    async def refresh_token(self, session: Session) -> str:
        claim = session.id.bytes + session.generation.to_bytes(4)
        secret = await self._keys.deriving("refresh-token", session.refresh_time)
        return self.REFRESH_PREFIX + base64url.encoded(claim + _mac(secret, claim))

    async def read_refresh_token(self, token: str) -> RefreshTokenContent:
        """What a genuine token says; raises CredentialsInvalid for any other."""
        if not token.startswith(self.REFRESH_PREFIX):
            raise CredentialsInvalid
        try:
            content = base64url.decoded(token.removeprefix(self.REFRESH_PREFIX))
        except ValueError:
            raise CredentialsInvalid from None
        claim, mac = content[:_PAYLOAD_BYTES], content[_PAYLOAD_BYTES:]
        if len(mac) != _MAC_BYTES or not await self._is_ours(claim, mac):
            raise CredentialsInvalid
        return RefreshTokenContent(UUID(bytes=claim[:16]), int.from_bytes(claim[16:]))

    async def key_making(self, now: datetime) -> "KeyMaking":
        """What makes API keys at this time; to be had before a transaction begins, since it may read keys anew."""
        newest = await self._keys.deriving("api-key", now)
        return KeyMaking(newest, await self._keys.kept("api-key"), await self._keys.kept("service-key"))

    async def request_secret(self) -> bytes:
        """What digests of requests that hold a password are keyed with."""
        return await self._keys.secret("request-digest")

    async def _is_ours(self, claim: bytes, mac: bytes) -> bool:
        for anew in (False, True):
            for secret in await self._keys.derived("refresh-token", anew=anew):
                if hmac.compare_digest(mac, _mac(secret, claim)):
                    return True
        return False


@dataclass(frozen=True, slots=True)
class KeyMaking:
    """Makes API keys, and those of before once more."""

    newest: bytes = field(repr=False)
    kept: Sequence[bytes] = field(repr=False)
    earlier: Sequence[bytes] = field(repr=False)
    """What keys were derived by before they had a checksum."""

    def key(self, key_id: UUID) -> str:
        """A new key of this id."""
        return _shown(_mac(self.newest, key_id.bytes))

    def again(self, key_id: UUID, hashed: bytes) -> str:
        """A key that was made before, as it was first shown; raises LookupError where nothing derives it any more."""
        known = [_shown(_mac(secret, key_id.bytes)) for secret in (self.newest, *self.kept)]
        macs = (_mac(secret, key_id.bytes) for secret in self.earlier)
        known += [Secrets.KEY_PREFIX + base64url.encoded(mac[:_KEY_BYTES]) for mac in macs]
        for key in known:
            if key_hash(key) == hashed:
                return key
        raise LookupError("no key that is kept derives this one")


def key_hash(key: str) -> bytes:
    """What is stored of an API key; it holds 160 random bits, so that no slow hash is needed."""
    return hashlib.sha256(key.encode()).digest()


def well_formed(key: str) -> bool:
    """Whether it may be an API key of ours: one that is mistyped is told without a look into the database."""
    behind = key.removeprefix(Secrets.KEY_PREFIX)
    if behind == key or not key.isascii():
        return False
    if len(behind) == _KEY_DIGITS + _CHECK_DIGITS:
        return key[-_CHECK_DIGITS:] == _checksum(key[:-_CHECK_DIGITS])
    return len(behind) == _EARLIER_KEY


def _shown(mac: bytes) -> str:
    key = Secrets.KEY_PREFIX + _base62(int.from_bytes(mac[:_KEY_BYTES]), _KEY_DIGITS)
    return key + _checksum(key)


def _checksum(text: str) -> str:
    return _base62(zlib.crc32(text.encode()), _CHECK_DIGITS)


def _base62(number: int, digits: int) -> str:
    text = ""
    for _ in range(digits):
        number, digit = divmod(number, len(_DIGITS))
        text = _DIGITS[digit] + text
    return text


def _mac(secret: bytes, content: bytes) -> bytes:
    return hmac.digest(secret, content, hashlib.sha256)


def new_mail_token(purpose: MailPurpose, random_bytes: Callable[[int], bytes] = secrets.token_bytes) -> str:
    return PREFIXES[purpose] + base64url.encoded(random_bytes(_MAIL_TOKEN_BYTES))


def with_purpose(token: str, purpose: MailPurpose) -> str:
    """The token, with the prefix of what it is to be good for."""
    return PREFIXES[purpose] + token.partition("_")[2]


def mail_token_hash(token: str) -> bytes:
    """What is stored of a token; it holds 160 random bits, so that no slow hash is needed."""
    return hashlib.sha256(token.encode()).digest()

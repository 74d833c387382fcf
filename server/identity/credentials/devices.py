"""Device tokens: what a program shows that an account's owner has signed in with before."""

import hashlib
import hmac
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from uuid import UUID

from server.frame import base64url
from server.identity.credentials.keys import KeyRing
from server.identity.rules.devices import Device, KeptDevice
from storage.identity.records import Account

_PAYLOAD_BYTES = 40
_MAC_BYTES = 32
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Devices:
    """Makes and reads device tokens: an account, a device and a time, sealed with a MAC; nothing of them is stored."""

    PREFIX = "brd_"

    def __init__(self, keys: KeyRing, now: Callable[[], datetime], new_id: Callable[[], UUID]) -> None:
        self._keys = keys
        self._now = now
        self._new_id = new_id

    def made(self, account_id: UUID, issue_time: datetime) -> Device:
        """A new device of the account's owner."""
        return Device(account_id, self._new_id(), issue_time)

    async def kept_token(self, kept: KeptDevice) -> str:
        """Likewise of what is remembered of a change of password; empty where that is no device."""
        return await self.token(kept) if isinstance(kept, Device) else ""

    async def token(self, device: Device) -> str:
        """The device's token, the same each time."""
        since = (device.issue_time - _EPOCH) // timedelta(microseconds=1)
        claim = device.account_id.bytes + device.id.bytes + since.to_bytes(8)
        return self.PREFIX + base64url.encoded(claim + await self._mac(claim))

    async def read(self, token: str, account: Account | None) -> Device | None:
        """The device, where the token is one of ours that still counts for the account; None otherwise."""
        claim, mac = _parts(token)
        expected = await self._mac(claim)
        if not hmac.compare_digest(mac, expected) or len(claim) != _PAYLOAD_BYTES:
            return None
        issued = _EPOCH + timedelta(microseconds=int.from_bytes(claim[32:]))
        device = Device(UUID(bytes=claim[:16]), UUID(bytes=claim[16:32]), issued)
        return device if device.counts_for(account, self._now()) else None

    async def _mac(self, claim: bytes) -> bytes:
        return hmac.digest(await self._keys.secret("device-token"), claim, hashlib.sha256)


def _parts(token: str) -> tuple[bytes, bytes]:
    if not token.startswith(Devices.PREFIX):
        return b"", b""
    try:
        content = base64url.decoded(token.removeprefix(Devices.PREFIX))
    except ValueError:
        return b"", b""
    return content[:-_MAC_BYTES], content[-_MAC_BYTES:]

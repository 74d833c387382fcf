"""Which environment a storage belongs to: no other one writes or deletes there."""

import time
from collections.abc import AsyncIterator

from server.files.blobs import BlobMissing, Blobs, BlobsUnavailable

KEY = "backroom-owner"
_BYTES = 256
"""Of an object that says who the owner is: an issuer of any length, and spaces."""
_CHECKED_SECONDS = 60.0
"""For how long an answer counts."""


class Owner:
    """The environment that a storage belongs to: the first that writes into it.

    A copy of a database refers to the objects of its original. It would delete those of files that are deleted in the
    copy, and sweep all that the original has stored since. Environments are told apart by their issuer (decision 22).
    """

    def __init__(self, issuer: str) -> None:
        self._issuer = issuer
        self._checked_at = float("-inf")

    async def check(self, blobs: Blobs) -> None:
        """Raises BlobsUnavailable where the storage belongs to another environment; one that has no owner gets this."""
        if time.monotonic() - self._checked_at < _CHECKED_SECONDS:
            return
        owner = await _find(blobs)
        if owner is None:
            await blobs.write(KEY, _record(self._issuer))
            owner = await _find(blobs)
        if owner != self._issuer:
            fix = f"name another one in BACKROOM_FILES_STORAGE, or delete the object {KEY} there to hand it over"
            raise BlobsUnavailable(f"the storage belongs to {owner}, and this is {self._issuer}: {fix}")
        self._checked_at = time.monotonic()


async def _find(blobs: Blobs) -> str | None:
    try:
        return b"".join([part async for part in blobs.read(KEY, 0, _BYTES)]).decode(errors="replace").rstrip()
    except BlobMissing:
        return None


async def _record(issuer: str) -> AsyncIterator[bytes]:
    yield issuer.encode().ljust(_BYTES)

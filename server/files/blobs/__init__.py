"""The storage port: where the bytes of files are, by keys that the database has."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol


class BlobMissing(Exception):
    """The storage has no object by this key, or one that is shorter than was said."""


class BlobsUnavailable(Exception):
    """The storage does not respond, or refuses; nothing is known of what was asked."""


@dataclass(frozen=True, slots=True)
class Blob:
    """An object in the storage."""

    key: str
    size_bytes: int
    change_time: datetime
    """When it was written, by the storage's own clock."""


class Blobs(Protocol):
    """A storage of objects, each of which is written once, whole or not at all, and never changed.

    Keys are ours: lower-case letters, digits, dashes, dots and slashes; no caller's text is ever part of one.
    Everything but closing raises BlobsUnavailable. None of it blocks the event loop.
    """

    async def write(self, key: str, content: AsyncIterator[bytes]) -> int:
        """Writes an object of any size in bounded memory, and returns its size; it survives a crash from then on.

        Where `content` raises or the caller is cancelled, nothing is left under the key.
        """
        ...

    def read(self, key: str, offset: int, length: int) -> AsyncIterator[bytes]:
        """Exactly so many bytes of an object from an offset on, in parts of up to 256 KiB; raises BlobMissing."""
        ...

    async def delete(self, keys: Sequence[str]) -> None:
        """Deletes objects; those that there are not count as deleted."""
        ...

    def list(self, prefix: str) -> AsyncIterator[Sequence[Blob]]:
        """All objects whose keys begin so, in pages; those that come or go meanwhile may be among them or not."""
        ...

    async def link(self, key: str, *, seconds: int, content_type: str, disposition: str) -> str | None:
        """A URL by which anyone can get an object for so long, answered with these headers; None where the storage
        cannot."""
        ...

    async def close(self) -> None:
        """Ends connections and threads."""
        ...

"""The storage port: where the bytes of files are, by keys that the database has."""

import re
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID

PART_BYTES = 256 * 1024
"""Of what is read, at most so much at once."""
UNFINISHED = "unfinished"
"""What the keys begin with of what is being written, where a storage lists that."""
_OURS = re.compile(rf"(?:objects/[0-9a-f]{{2}}|{UNFINISHED})/[0-9a-f]{{8}}(?:-[0-9a-f]{{4}}){{3}}-[0-9a-f]{{12}}")


class BlobMissing(Exception):
    """The storage has no object by this key, or one that is shorter than it should be."""


class BlobsUnavailable(Exception):
    """The storage does not respond, or refuses; nothing is known of what was asked."""


@dataclass(frozen=True, slots=True)
class Blob:
    """An object in the storage."""

    key: str
    size_bytes: int
    change_time: datetime
    """When it was written, by the storage's own clock."""


def new_key(object_id: UUID) -> str:
    """The key of a new object: under one of 256 prefixes, so that no folder has too many."""
    return f"objects/{object_id.hex[-2:]}/{object_id}"


def is_ours(key: str) -> bool:
    """Whether an object is one that files has written, by its key: a folder or a bucket may hold other things."""
    return _OURS.fullmatch(key) is not None


class Blobs(Protocol):
    """A storage of objects, each of which is written once, whole or not at all, and never changed.

    Keys are ours: lower-case letters, digits, dashes, dots and slashes; no caller's text is ever part of one.
    Everything but closing raises BlobsUnavailable. None of it blocks the event loop.
    """

    @property
    def piece_bytes(self) -> int:
        """How large the objects are best that an upload is staged in."""
        ...

    async def write(self, key: str, content: AsyncIterator[bytes]) -> int:
        """Writes an object of any size in bounded memory, and returns its size; it survives a crash from then on.

        Where `content` raises or the caller is cancelled, nothing is left under the key.
        """
        ...

    async def join(self, key: str, parts: Sequence[str]) -> int:
        """The same of other objects, one behind the other; raises BlobMissing."""
        ...

    def read(self, key: str, offset: int, length: int) -> AsyncGenerator[bytes, None]:
        """Exactly so many bytes of an object from an offset on, in parts of up to PART_BYTES; raises BlobMissing."""
        ...

    def open(self, key: str) -> AbstractAsyncContextManager[int | None]:
        """An object as a file that the operating system has open, to be read at any place within the block; None where
        it is none. Raises BlobMissing."""
        ...

    async def delete(self, keys: Sequence[str]) -> None:
        """Deletes objects; those that there are not count as deleted."""
        ...

    def list(self) -> AsyncIterator[Sequence[Blob]]:
        """All objects in pages, also what was left of such as were never finished; what comes or goes meanwhile may be
        among them or not."""
        ...

    async def link(self, key: str, seconds: int) -> str | None:
        """A URL by which anyone can get an object for so long, as an attachment of no known type; None where the
        storage has none."""
        ...

    async def close(self) -> None:
        """Ends connections and threads."""
        ...

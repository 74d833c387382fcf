"""Uploads that were received whole become one object each, with its SHA-256."""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from time import monotonic
from uuid import UUID

from server.files.blobs import Blobs, new_key
from server.files.service.digests import Digests
from storage.files.records import Piece, Upload
from storage.files.store import FilesStore

_AT_ONCE = 4
_REMEMBERED = 10_000
"""Objects whose caller has not come back for them."""
_KEPT_SECONDS = 12 * 3600
"""For how long one is kept for its caller: after a day, what belongs to nothing is swept."""


class UploadEnded(Exception):
    """The upload was completed or deleted meanwhile, and its pieces are gone."""


@dataclass(frozen=True, slots=True)
class Assembled:
    """The object of an upload."""

    sha256: str
    key: str


@dataclass(frozen=True, slots=True)
class _Begun:
    """An object that is being assembled, or was."""

    task: asyncio.Task[Assembled]
    since: float
    """In seconds, by the clock."""

    def is_of_no_use(self, now: float) -> bool:
        """Whether it failed, or may have been swept."""
        if not self.task.done():
            return False
        return self.task.cancelled() or self.task.exception() is not None or now - self.since > _KEPT_SECONDS


class Assembling:
    """Assembles each upload once in this process, whoever waits for it, also where nobody waits any more.

    That another server does the same is harmless: each writes an object of its own, and one of them is used.
    """

    def __init__(
        self,
        store: FilesStore,
        blobs: Blobs,
        digests: Digests,
        new_id: Callable[[], UUID],
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._store = store
        self._blobs = blobs
        self._digests = digests
        self._new_id = new_id
        self._room = asyncio.Semaphore(_AT_ONCE)
        self._clock = clock
        self._begun: OrderedDict[UUID, _Begun] = OrderedDict()

    async def assemble(self, upload: Upload) -> Assembled:
        """The object of an upload that was received whole; raises BlobsUnavailable, BlobMissing, UploadEnded.

        It goes on where the caller is cancelled, and whoever calls next waits for the same.
        """
        file_id, now = upload.file.id, self._clock()
        begun = self._begun.get(file_id)
        if begun is None or begun.is_of_no_use(now):
            begun = self._begun[file_id] = _Begun(asyncio.create_task(self._assembled(upload)), now)
            if len(self._begun) > _REMEMBERED:  # an object that nobody comes back for is swept
                self._begun.popitem(last=False)
        return await asyncio.shield(begun.task)

    def find_sha256(self, upload: Upload) -> str | None:
        """Of an upload that was received whole, where it is known without reading it."""
        return self._digests.find_sha256(upload.file.id, upload.file.size_bytes)

    def forget(self, file_id: UUID) -> None:
        """The object is used, or its upload is gone."""
        self._begun.pop(file_id, None)
        self._digests.keep(file_id, None)

    async def close(self) -> None:
        tasks = [begun.task for begun in self._begun.values()]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    async def _assembled(self, upload: Upload) -> Assembled:
        async with self._room:
            async with self._store.reading() as reading:
                pieces = await reading.uploads.list_pieces(upload.file.id)
            if sum(piece.size_bytes for piece in pieces) != upload.file.size_bytes:
                raise UploadEnded
            known = self._digests.find_sha256(upload.file.id, upload.file.size_bytes)
            if len(pieces) == 1:  # it is the object already
                return Assembled(known or await self._read(pieces), pieces[0].key)
            key = new_key(self._new_id())
            if known is not None:
                await self._blobs.join(key, [piece.key for piece in pieces])
                return Assembled(known, key)
            found = asyncio.get_running_loop().create_future()
            await self._blobs.write(key, self._digests.of(self._content(pieces), found))
            return Assembled(await found, key)

    async def _read(self, pieces: Sequence[Piece]) -> str:
        found = asyncio.get_running_loop().create_future()
        async for _ in self._digests.of(self._content(pieces), found):
            pass
        return str(await found)

    async def _content(self, pieces: Sequence[Piece]) -> AsyncIterator[bytes]:
        for piece in pieces:
            async with aclosing(self._blobs.read(piece.key, 0, piece.size_bytes)) as parts:
                async for part in parts:
                    yield part

"""Chunks as they come, stored in pieces: each is an object, and a row in a transaction of its own."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from time import monotonic
from uuid import UUID

from google_crc32c import extend, value

from server.files.blobs import Blobs, BlobsUnavailable, new_key
from server.files.errors import StorageUnavailable
from server.files.rules.access import check_uploads
from server.files.rules.receiving import PIECE_BYTES, PIECE_SECONDS, Chunk, check_chunk, check_uploading, grown
from server.files.service.changing import resource
from server.files.service.digests import Digests
from server.frame.caller import Caller
from server.frame.errors import Refusal
from server.frame.shielding import ShieldedTasks
from storage.errors import StoreError
from storage.files.records import Piece, Upload
from storage.files.store import FilesStore
from storage.frame.records import ChangeContext


@dataclass
class _Stream:
    """One sender's chunks, of which some are not stored yet."""

    upload: Upload
    """With what is stored for good."""
    context: ChangeContext | None
    """To be recorded with the first piece; None once it is."""
    position: int
    """Where the next chunk begins."""
    parts: list[bytes] = field(default_factory=list)
    size: int = 0
    crc32c: int = 0
    since: float = 0.0
    storing: "asyncio.Task[None] | None" = None

    def take(self, chunk: Chunk) -> None:
        """Raises OffsetMismatch, ChunkDamaged, SizeExceeded."""
        check_chunk(chunk, value(chunk.data), self.upload, self.position)
        if not chunk.data:
            return
        if not self.parts:
            self.since = monotonic()
        self.parts.append(chunk.data)
        self.size += len(chunk.data)
        self.position += len(chunk.data)
        self.crc32c = extend(self.crc32c, chunk.data)

    @property
    def is_due(self) -> bool:
        return self.size >= PIECE_BYTES or (self.size > 0 and monotonic() - self.since >= PIECE_SECONDS)


class Receiving:
    """Receives chunks in bounded memory: while one piece is stored, the next one is gathered, and no more is read."""

    def __init__(
        self,
        store: FilesStore,
        blobs: Blobs,
        digests: Digests,
        now: Callable[[], datetime],
        new_id: Callable[[], UUID],
        life: timedelta,
    ) -> None:
        """An upload that nobody continues within its `life` is given up."""
        self._store = store
        self._blobs = blobs
        self._digests = digests
        self._now = now
        self._new_id = new_id
        self._life = life
        self._shielded = ShieldedTasks()

    async def receive(
        self, caller: Caller, file_id: UUID, chunks: AsyncGenerator[Chunk, None], context: ChangeContext
    ) -> Upload:
        """Stores chunks as they come, and returns once all of them are stored for good.

        Where a chunk is refused, or the sender goes away, those before it are stored nevertheless.
        Raises FileNotFound, FileStateConflict, OffsetMismatch, ChunkDamaged, SizeExceeded, UploadFragmented,
        StorageUnavailable.
        """
        upload = await self.find(caller, file_id)
        stream = _Stream(upload, context, upload.received_bytes)
        try:
            async with aclosing(chunks) as each:
                async for chunk in each:
                    stream.take(chunk)
                    if stream.is_due:
                        await self._store_next(stream)
            await self._store_all(stream)
        except BaseException:
            with suppress(Refusal, StoreError):  # the first one counts
                await self._shielded.run(self._store_all(stream))
            raise
        return stream.upload

    async def find(self, caller: Caller, file_id: UUID) -> Upload:
        """An upload of the caller's; raises FileNotFound, FileStateConflict."""
        async with self._store.reading() as reading:
            listed = await reading.files.find(file_id)
            file = check_uploads(listed.file if listed else None, caller)
            check_uploading(file)
            upload = await reading.uploads.find(file_id)
        if upload is None:  # it was completed between the two
            return await self.find(caller, file_id)
        return upload

    async def close(self) -> None:
        await self._shielded.close()

    async def _store_next(self, stream: _Stream) -> None:
        """Begins to store what was gathered, once what was gathered before is stored."""
        if stream.storing is not None:
            await asyncio.shield(stream.storing)
        stream.storing = asyncio.create_task(self._store_piece(stream, stream.parts, stream.size, stream.crc32c))
        stream.parts, stream.size, stream.crc32c = [], 0, 0

    async def _store_all(self, stream: _Stream) -> None:
        if stream.size:
            await self._store_next(stream)
        if stream.storing is not None:
            await asyncio.shield(stream.storing)

    async def _store_piece(self, stream: _Stream, parts: Sequence[bytes], size: int, crc32c: int) -> None:
        file_id, offset = stream.upload.file.id, stream.upload.received_bytes
        piece = Piece(file_id, offset, size, crc32c, new_key(self._new_id()))
        try:
            _, digest = await asyncio.gather(
                self._blobs.write(piece.key, _each(parts)), self._digests.continued(file_id, offset, parts)
            )
        except BlobsUnavailable as error:
            raise StorageUnavailable from error
        try:
            await self._record(stream, piece)
        except Refusal:  # another sender was faster: what is known to belong to nothing need not wait for the sweep
            with suppress(BlobsUnavailable):
                await self._blobs.delete([piece.key])
            raise
        self._digests.keep(file_id, digest)

    async def _record(self, stream: _Stream, piece: Piece) -> None:
        async with self._store.transaction() as tx:
            upload = grown(await tx.uploads.lock(piece.file_id), piece, self._now(), self._life)
            await tx.uploads.add_piece(upload, piece)
            if stream.context is not None:
                await tx.audit.record([stream.context.entry(resource(piece.file_id))])
        stream.upload, stream.context = upload, None


async def _each(parts: Sequence[bytes]) -> AsyncIterator[bytes]:
    for part in parts:
        yield part

"""Chunks as they come, stored in pieces: each is an object, and a row in a transaction of its own."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from time import monotonic
from uuid import UUID

from google_crc32c import extend, value

from server.files.blobs import Blobs, BlobsUnavailable, new_key
from server.files.errors import OffsetMismatch, StorageUnavailable
from server.files.rules.access import check_uploads
from server.files.rules.receiving import PIECE_SECONDS, Chunk, check_chunk, check_uploading, grown
from server.files.service.changing import resource
from server.files.service.digests import Digest, Digests
from server.frame.caller import Caller
from server.frame.errors import Refusal
from server.frame.shielding import ShieldedTasks
from storage.errors import StoreError
from storage.files.records import Piece, Upload
from storage.files.store import FilesStore
from storage.frame.records import ChangeContext

_BLOCK_BYTES = 2 * 1024 * 1024
"""So much is handed on at once, to be written and hashed: each turn of a thread costs 0.1 ms."""
_BLOCKS_AHEAD = 4
"""Of one piece that is being written: then no more is read from the sender."""
_PIECES_AT_ONCE = 2
"""Of one stream, whose bytes are written and that are being synced and recorded while the next one grows."""


class _Growing:
    """A piece whose bytes are written as they come."""

    def __init__(self, piece: Piece) -> None:
        """`piece` has no bytes yet."""
        self.piece = piece
        self.digest: asyncio.Future[Digest | None] | None = None
        """Of all bytes up to its end, once it has ended."""
        self._blocks: asyncio.Queue[Sequence[bytes]] = asyncio.Queue(_BLOCKS_AHEAD)
        self._closed = False

    async def add(self, block: Sequence[bytes], size: int, crc32c: int) -> None:
        """Waits while the storage is slower; `crc32c` is of all bytes of the piece."""
        if not self._closed:
            await self._blocks.put(block)
        self.piece = replace(self.piece, size_bytes=self.piece.size_bytes + size, crc32c=crc32c)

    async def end(self) -> None:
        if not self._closed:
            await self._blocks.put(())

    async def parts(self) -> AsyncGenerator[bytes, None]:
        try:
            while block := await self._blocks.get():
                for part in block:
                    yield part
        finally:
            self._closed = True
            while not self._blocks.empty():  # which lets go whoever waits to add one
                self._blocks.get_nowait()


@dataclass
class _Stream:
    """One sender's chunks, of which some are not stored yet."""

    upload: Upload
    """With what is stored for good."""
    context: ChangeContext | None
    """To be recorded with the first piece; None once it is."""
    position: int
    """Where the next chunk begins."""
    digest: "asyncio.Future[Digest | None]"
    """Of all bytes before those that are gathered."""
    block: list[bytes] = field(default_factory=list)
    size: int = 0
    since: float = 0.0
    """When the first chunk of the piece came."""
    crc32c: int = 0
    """Of the bytes of the piece that grows."""
    growing: _Growing | None = None
    storing: "deque[asyncio.Task[None]]" = field(default_factory=deque)
    """The pieces that are being stored, in their order."""

    def take(self, chunk: Chunk) -> None:
        """Raises OffsetMismatch, ChunkDamaged, SizeExceeded."""
        check_chunk(chunk, value(chunk.data), self.upload, self.position)
        if not chunk.data:
            return
        if self.growing is None and not self.block:
            self.since = monotonic()
        self.block.append(chunk.data)
        self.size += len(chunk.data)
        self.position += len(chunk.data)
        self.crc32c = extend(self.crc32c, chunk.data)

    @property
    def is_old(self) -> bool:
        """Whether the piece waits for long enough to be stored, however small it is."""
        return monotonic() - self.since >= PIECE_SECONDS

    def check_storing(self) -> None:
        """Raises why a piece could not be stored: what comes after it need not be sent."""
        for each in self.storing:
            if each.done():
                each.result()


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
        before = self._store.primaries_seen
        upload = await self.find(caller, file_id)
        known = asyncio.get_running_loop().create_future()
        known.set_result(self._digests.find(file_id, upload.received_bytes))
        stream = _Stream(upload, context, upload.received_bytes, known)
        try:
            async with aclosing(chunks) as each:
                async for chunk in each:
                    stream.take(chunk)
                    if stream.size >= _BLOCK_BYTES or (stream.size and stream.is_old):
                        await self._write_on(stream)
                        stream.check_storing()
            await self._store_all(stream)
        except BaseException as error:
            with suppress(Refusal, StoreError):  # the first one counts
                await self._shielded.run(self._store_all(stream))
            if isinstance(error, OffsetMismatch):  # it says what is stored
                await self._store.wait_for_standby(before)
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

    async def _write_on(self, stream: _Stream) -> None:
        """Hands on what was gathered; ends the piece that it belongs to where that is large or old enough."""
        growing, block, size = stream.growing or await self._begin(stream), stream.block, stream.size
        stream.block, stream.size = [], 0
        await stream.digest  # of the block before
        stream.digest = asyncio.create_task(self._digests.continued(stream.digest, block))
        await growing.add(block, size, stream.crc32c)
        if growing.piece.size_bytes >= self._blobs.piece_bytes or stream.is_old:
            await self._end(stream, growing)

    async def _begin(self, stream: _Stream) -> _Growing:
        """Begins a piece with what was gathered, as soon as there is room for it."""
        if len(stream.storing) > _PIECES_AT_ONCE:
            await asyncio.shield(stream.storing.popleft())
        offset = stream.position - stream.size
        growing = _Growing(Piece(stream.upload.file.id, offset, 0, 0, new_key(self._new_id())))
        before = stream.storing[-1] if stream.storing else None
        stream.storing.append(asyncio.create_task(self._store_piece(stream, growing, before)))
        stream.growing = growing
        return growing

    async def _end(self, stream: _Stream, growing: _Growing) -> None:
        stream.growing, stream.crc32c, growing.digest = None, 0, stream.digest
        await growing.end()

    async def _store_all(self, stream: _Stream) -> None:
        """Waits until all that was gathered is stored; raises why the first piece is not that could not be."""
        if stream.size:
            await self._write_on(stream)
        if stream.growing is not None:
            await self._end(stream, stream.growing)
        if stream.storing:
            await asyncio.wait(stream.storing)
        outcomes = [each.exception() for each in stream.storing]
        stream.storing.clear()
        for error in filter(None, outcomes):
            raise error

    async def _store_piece(self, stream: _Stream, growing: _Growing, before: "asyncio.Task[None] | None") -> None:
        key = growing.piece.key
        try:
            async with aclosing(growing.parts()) as parts:
                await self._blobs.write(key, parts)
        except BlobsUnavailable as error:
            raise StorageUnavailable from error
        piece, digest = growing.piece, growing.digest
        assert digest is not None  # noqa: S101 - it has ended
        try:
            if before is not None:
                await asyncio.shield(before)
            await self._record(stream, piece)
        except Refusal:  # another sender was faster: what is known to belong to nothing need not wait for the sweep
            with suppress(BlobsUnavailable):
                await self._blobs.delete([key])
            raise
        self._digests.keep(piece.file_id, await digest)

    async def _record(self, stream: _Stream, piece: Piece) -> None:
        async with self._store.transaction() as tx:
            upload = grown(await tx.uploads.lock(piece.file_id), piece, self._now(), self._life)
            await tx.uploads.add_piece(upload, piece)
            if stream.context is not None:
                await tx.audit.record([stream.context.entry(resource(piece.file_id))])
        stream.upload, stream.context = upload, None

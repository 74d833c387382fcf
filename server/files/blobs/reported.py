"""A storage whose outages are in the log, and which belongs to one environment."""

from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence
from contextlib import aclosing, asynccontextmanager, contextmanager

import structlog

from server.files.blobs import Blob, Blobs, BlobsUnavailable
from server.files.blobs.owner import Owner
from server.frame.outages import Outage


class ReportedBlobs:
    """Says that the storage does not respond, and why, once when that begins, and once when it has passed.

    One of another environment is read, and takes no change.
    """

    def __init__(self, blobs: Blobs, owner: Owner, logger: structlog.typing.FilteringBoundLogger) -> None:
        self._blobs = blobs
        self._owner = owner
        self._outage = Outage(logger, "storage_unavailable", "storage_available")

    @property
    def piece_bytes(self) -> int:
        return self._blobs.piece_bytes

    async def write(self, key: str, content: AsyncIterator[bytes]) -> int:
        with self._reported():
            await self._owner.check(self._blobs)
            return await self._blobs.write(key, content)

    async def join(self, key: str, parts: Sequence[str]) -> int:
        with self._reported():
            await self._owner.check(self._blobs)
            return await self._blobs.join(key, parts)

    async def read(self, key: str, offset: int, length: int) -> AsyncGenerator[bytes, None]:
        with self._reported():
            async with aclosing(self._blobs.read(key, offset, length)) as parts:
                async for part in parts:
                    yield part

    @asynccontextmanager
    async def open(self, key: str) -> AsyncIterator[int | None]:
        with self._reported():
            async with self._blobs.open(key) as file:
                yield file

    async def delete(self, keys: Sequence[str]) -> None:
        with self._reported():
            await self._owner.check(self._blobs)
            await self._blobs.delete(keys)

    async def list(self) -> AsyncIterator[Sequence[Blob]]:
        with self._reported():
            async for page in self._blobs.list():
                yield page

    async def link(self, key: str, seconds: int) -> str | None:
        with self._reported():
            return await self._blobs.link(key, seconds)

    async def close(self) -> None:
        await self._blobs.close()

    @contextmanager
    def _reported(self) -> Iterator[None]:
        try:
            yield
        except BlobsUnavailable as error:
            self._outage.record_failure(why=str(error))
            raise
        self._outage.record_recovery()

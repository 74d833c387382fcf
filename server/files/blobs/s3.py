"""Objects in an S3-compatible storage."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import obstore
from obstore.exceptions import BaseError
from obstore.store import S3Store

from server.files.blobs import PART_BYTES, Blob, BlobMissing, BlobsUnavailable

if TYPE_CHECKING:
    from obstore import Attributes

_RANGE_BYTES = 4 * 1024 * 1024
"""Of one request: one for all of it would have to end in time, however slow its reader is."""
_SINGLE_BYTES = 16 * 1024 * 1024
"""What is not larger is written by one request, which leaves nothing behind where it fails."""
_PIECE_BYTES = 8 * 1024 * 1024
"""Each is in memory until it is written."""
_AT_ONCE = 2
_PAGE = 1000
_TIMEOUT = timedelta(seconds=30)
_RETRIED = timedelta(seconds=10)
_ATTRIBUTES: "Attributes" = {"Content-Type": "image/vnd.backroom.opaque", "Content-Disposition": "attachment"}
"""Whoever gets an object by a link gets it as this, whatever it is.

S3 sends no nosniff, without which a page may run an attachment of type application/octet-stream as a script of its own;
of what calls itself an image, known or not, no browser runs one (the Fetch standard, 2.5).
"""


class S3Blobs:
    """Objects in a bucket, below a prefix.

    Large objects are written in parts; of one that a killed server did not finish, the bucket's own lifecycle rule
    removes the parts (AbortIncompleteMultipartUpload), since nothing else can see them.
    """

    def __init__(
        self, bucket: str, prefix: str, *, endpoint: str, region: str, access_key: str, secret_key: str
    ) -> None:
        """Empty texts leave the endpoint and the credentials to AWS's own ways."""
        given: dict[str, Any] = {"region": region}
        if endpoint:
            given |= {"endpoint": endpoint, "virtual_hosted_style_request": False}
        if access_key:
            given |= {"access_key_id": access_key, "secret_access_key": secret_key}
        self._place = f"s3://{bucket}/{prefix}"
        self._store = S3Store(
            bucket,
            prefix=prefix or None,
            client_options={"allow_http": endpoint.startswith("http://"), "timeout": _TIMEOUT},
            retry_config={"max_retries": 3, "retry_timeout": _RETRIED},
            **given,
        )

    @property
    def piece_bytes(self) -> int:
        return _PIECE_BYTES

    async def write(self, key: str, content: AsyncIterator[bytes]) -> int:
        head, size = list[bytes](), 0
        async for part in content:
            head.append(part)
            size += len(part)
            if size > _SINGLE_BYTES:
                return await self._write_parts(key, head, content)
        with self._answering():
            whole = b"".join(head)
            await obstore.put_async(self._store, key, whole, attributes=_ATTRIBUTES, use_multipart=False)
        return size

    async def _write_parts(self, key: str, head: list[bytes], content: AsyncIterator[bytes]) -> int:
        size, failed = 0, list[BaseException]()

        async def counted() -> AsyncIterator[bytes]:
            nonlocal size
            try:
                for part in head:
                    size += len(part)
                    yield part
                head.clear()
                async for part in content:
                    size += len(part)
                    yield part
            except BaseException as error:
                failed.append(error)
                raise

        options: Any = {"attributes": _ATTRIBUTES, "chunk_size": _SINGLE_BYTES, "max_concurrency": _AT_ONCE}
        try:
            with self._answering():
                await obstore.put_async(self._store, key, counted(), **options)
        except BlobsUnavailable:
            if failed:  # what was to be written, and not the storage
                raise failed[0] from None
            raise
        return size

    async def join(self, key: str, parts: Sequence[str]) -> int:
        async def following() -> AsyncIterator[bytes]:
            for part in parts:
                with self._answering(part):
                    found = await obstore.head_async(self._store, part)
                async for each in self.read(part, 0, found["size"]):
                    yield each

        return await self.write(key, following())

    async def read(self, key: str, offset: int, length: int) -> AsyncGenerator[bytes, None]:
        following: asyncio.Task[memoryview] | None = None
        try:
            while length > 0:
                size = min(_RANGE_BYTES, length)
                found = await (following or self._range(key, offset, size))
                following = None
                offset, length = offset + size, length - size
                if length > 0:  # the next one is fetched while this one is sent
                    following = asyncio.create_task(self._range(key, offset, min(_RANGE_BYTES, length)))
                for place in range(0, size, PART_BYTES):
                    yield bytes(found[place : place + PART_BYTES])
        finally:
            if following is not None:
                following.cancel()
                await asyncio.wait([following])

    async def _range(self, key: str, offset: int, length: int) -> memoryview:
        with self._answering(key):
            found = await obstore.get_range_async(self._store, key, start=offset, length=length)
        if len(found) != length:
            raise BlobMissing(f"{key} is shorter than it should be")
        return memoryview(found)

    @asynccontextmanager
    async def open(self, key: str) -> AsyncIterator[int | None]:
        yield None

    async def delete(self, keys: Sequence[str]) -> None:
        for key in keys:
            try:
                with self._answering(key):
                    await obstore.delete_async(self._store, key)
            except BlobMissing:
                continue

    async def list(self) -> AsyncIterator[Sequence[Blob]]:
        pages = obstore.list(self._store, chunk_size=_PAGE)
        while True:
            with self._answering():
                page = await anext(pages, None)
            if page is None:
                return
            yield [Blob(each["path"], each["size"], each["last_modified"]) for each in page]

    async def link(self, key: str, seconds: int) -> str | None:
        with self._answering(key):
            return await obstore.sign_async(self._store, "GET", key, timedelta(seconds=seconds))

    async def close(self) -> None:
        """It has nothing that is to be closed."""

    @contextmanager
    def _answering(self, key: str = "") -> Iterator[None]:
        """Raises BlobMissing and BlobsUnavailable, without what a request says of its credentials."""
        try:
            yield
        except FileNotFoundError:
            raise BlobMissing(key) from None
        except (BaseError, ValueError, OSError) as error:
            raise BlobsUnavailable(f"{self._place}: {type(error).__name__}") from error

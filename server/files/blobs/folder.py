"""Objects as the files of a folder."""

import asyncio
import os
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from itertools import islice
from pathlib import Path
from typing import ParamSpec, TypeVar
from uuid import uuid4

from server.files.blobs import PART_BYTES, UNFINISHED, Blob, BlobMissing, BlobsUnavailable
from server.frame.shielding import in_thread

_THREADS = 8
"""How many reads and writes one process does at the same time."""
_GATHERED_BYTES = 2 * 1024 * 1024
"""So much is written at once, since each turn of a thread costs 0.1 ms."""
_PIECE_BYTES = 512 * 1024 * 1024
"""None of it is kept in memory, and each costs two syncs."""
_CACHED_BYTES = 32 * 1024 * 1024
"""Of the end of an object that is written, the kernel keeps so much in memory, for those who soon read it.

More of it would crowd out what others read, and to take new memory costs several times as much as to write.
"""
_PARTS_AT_ONCE = 4
_PAGE = 1000

Given = ParamSpec("Given")
Result = TypeVar("Result")


class FolderBlobs:
    """Objects in a folder, which every server on this database must share.

    An object is written beside its place, synced and renamed, and the folder is synced: a crash leaves all of it or
    nothing but a rest that is listed. Blocking work is done by a few threads.
    """

    def __init__(self, root: Path) -> None:
        """The folder is made when it is first needed."""
        self._root = root
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="blobs")

    @property
    def piece_bytes(self) -> int:
        return _PIECE_BYTES

    async def write(self, key: str, content: AsyncIterator[bytes]) -> int:
        writing = _Writing(self._root, key)
        try:
            gathered, size = list[bytes](), 0
            async for part in content:
                gathered.append(part)
                size += len(part)
                if size >= _GATHERED_BYTES:
                    await self._run(writing.append, gathered)
                    gathered, size = [], 0
            return await self._run(writing.finish, gathered)
        except BaseException:
            await self._run(writing.abandon)
            raise

    async def join(self, key: str, parts: Sequence[str]) -> int:
        writing = _Writing(self._root, key)
        try:
            for part in parts:
                await self._run(writing.copy, self._root / part)
            return await self._run(writing.finish, [])
        except BaseException:
            await self._run(writing.abandon)
            raise

    async def read(self, key: str, offset: int, length: int) -> AsyncGenerator[bytes, None]:
        file = await self._opened(key)
        following: asyncio.Task[list[bytes]] | None = None
        try:
            following = asyncio.create_task(self._run(_read, file, offset, length))
            while length > 0:
                parts = await following
                size = sum(map(len, parts))
                offset, length = offset + size, length - size
                if length > 0:  # the next ones are read while these are sent
                    following = asyncio.create_task(self._run(_read, file, offset, length))
                for part in parts:
                    yield part
        finally:
            if following is not None:
                following.cancel()
                await asyncio.wait([following])
            await self._run(os.close, file)

    @asynccontextmanager
    async def open(self, key: str) -> AsyncIterator[int | None]:
        file = await self._opened(key)
        try:
            yield file
        finally:
            await self._run(os.close, file)

    async def delete(self, keys: Sequence[str]) -> None:
        await self._run(_delete, [self._root / key for key in keys])

    async def list(self) -> AsyncIterator[Sequence[Blob]]:
        walk = _walk(self._root)
        while page := await self._run(lambda: [*islice(walk, _PAGE)]):
            yield page

    async def link(self, key: str, seconds: int) -> str | None:
        return None

    async def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _opened(self, key: str) -> int:
        """A descriptor that the caller has to close; none is left open where the caller is cancelled meanwhile."""
        opened = list[int]()
        try:
            await self._run(lambda: opened.append(_open(self._root / key)))
        except asyncio.CancelledError:
            for file in opened:
                os.close(file)
            raise
        return opened[0]

    async def _run(self, work: Callable[Given, Result], *given: Given.args, **named: Given.kwargs) -> Result:
        """As `in_thread`; raises BlobsUnavailable."""
        try:
            return await in_thread(self._threads, partial(work, *given, **named))
        except OSError as error:
            raise BlobsUnavailable(f"{self._root}: {error.strerror}") from error


@dataclass
class _Writing:
    """One object on its way to its place; its methods block."""

    root: Path
    key: str
    file: int = -1
    size: int = 0
    dropped: int = 0
    """In bytes from its begin: what the kernel need not keep in memory."""
    unfinished: Path = field(init=False)

    def __post_init__(self) -> None:
        self.unfinished = self.root / UNFINISHED / str(uuid4())

    def append(self, parts: Sequence[bytes]) -> None:
        self._begin()
        left = [memoryview(part) for part in parts if part]
        while left:
            written = os.writev(self.file, left[:512])
            self._added(written)
            while left and written >= len(left[0]):
                written -= len(left.pop(0))
            if written:
                left[0] = left[0][written:]

    def copy(self, source: Path) -> None:
        """Appends a file within the kernel; on file systems that can, the two share their blocks."""
        self._begin()
        part = _open(source)
        try:
            left = os.fstat(part).st_size
            while left:
                copied = os.copy_file_range(part, self.file, min(left, _CACHED_BYTES))
                if not copied:
                    raise BlobMissing(source.name)
                left -= copied
                self._added(copied)
                os.posix_fadvise(part, 0, 0, os.POSIX_FADV_DONTNEED)  # it is deleted next
        finally:
            os.close(part)

    def finish(self, parts: Sequence[bytes]) -> int:
        self.append(parts)
        os.fsync(self.file)
        self._close()
        place = self.root / self.key
        _make_folder(place.parent)
        self.unfinished.rename(place)
        _sync(place.parent)
        return self.size

    def abandon(self) -> None:
        self._close()
        self.unfinished.unlink(missing_ok=True)

    def _added(self, count: int) -> None:
        """Has the kernel begin to write what was added, so that little is left to be done when it is synced."""
        os.posix_fadvise(self.file, self.size, count, os.POSIX_FADV_DONTNEED)
        self.size += count
        if (end := self.size - _CACHED_BYTES) > self.dropped:  # that is on the disk by now
            os.posix_fadvise(self.file, self.dropped, end - self.dropped, os.POSIX_FADV_DONTNEED)
            self.dropped = end

    def _begin(self) -> None:
        if self.file < 0:
            _make_folder(self.unfinished.parent)
            self.file = os.open(self.unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)

    def _close(self) -> None:
        if self.file >= 0:
            os.close(self.file)
            self.file = -1


def _open(path: Path) -> int:
    try:
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        raise BlobMissing(path.name) from None


def _read(file: int, offset: int, length: int) -> list[bytes]:
    parts = list[bytes]()
    for _ in range(_PARTS_AT_ONCE):
        if length <= 0:
            break
        part = os.pread(file, min(PART_BYTES, length), offset)
        if not part:
            raise BlobMissing("it is shorter than it should be")
        parts.append(part)
        offset, length = offset + len(part), length - len(part)
    return parts


def _delete(paths: Sequence[Path]) -> None:
    for path in paths:
        path.unlink(missing_ok=True)


def _walk(root: Path) -> Iterator[Blob]:
    for folder, _, names in os.walk(root):
        for name in names:
            path = Path(folder, name)
            with suppress(FileNotFoundError):  # it was deleted, or has been finished
                found = path.stat()
                change_time = datetime.fromtimestamp(found.st_mtime, UTC)
                yield Blob(path.relative_to(root).as_posix(), found.st_size, change_time)


def _make_folder(path: Path) -> None:
    """Makes a folder and those above it, for this process's user alone, so that they survive a crash."""
    if path.is_dir():
        return
    _make_folder(path.parent)
    with suppress(FileExistsError):
        path.mkdir(mode=0o700)
    _sync(path.parent)


def _sync(folder: Path) -> None:
    file = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(file)
    finally:
        os.close(file)

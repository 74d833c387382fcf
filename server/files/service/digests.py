"""The SHA-256 of uploads as they come, so that what one server received whole need not be read again."""

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any
from uuid import UUID

_THREADS = 2
_REMEMBERED = 10_000
"""Uploads, with 300 bytes each; of one that is forgotten, the bytes are read once more."""


@dataclass(frozen=True, slots=True)
class Digest:
    """The SHA-256 of the first bytes of an upload."""

    state: Any
    """hashlib's own; it is copied and never updated."""
    size_bytes: int


class Digests:
    """What this process knows of the uploads that it receives; it is never wrong, and may know nothing."""

    def __init__(self) -> None:
        self._known: OrderedDict[UUID, Digest] = OrderedDict()
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="digests")

    def find(self, file_id: UUID, size_bytes: int) -> Digest | None:
        """The digest of the first bytes of an upload; None where it is not known."""
        known = self._known.get(file_id) if size_bytes else Digest(hashlib.sha256(), 0)
        return known if known is not None and known.size_bytes == size_bytes else None

    async def continued(self, before: "asyncio.Future[Digest | None]", parts: Sequence[bytes]) -> Digest | None:
        """The digest with these bytes behind those before them; None where that of those is not known."""
        known = await before
        if known is None:
            return None
        return await asyncio.get_running_loop().run_in_executor(self._threads, _continued, known, parts)

    def keep(self, file_id: UUID, digest: Digest | None) -> None:
        """The bytes of a digest are stored for good; where it is None, others are, of which nothing is known."""
        self._known.pop(file_id, None)
        if digest is not None:
            self._known[file_id] = digest
            if len(self._known) > _REMEMBERED:
                self._known.popitem(last=False)

    def find_sha256(self, file_id: UUID, size_bytes: int) -> str | None:
        """In hexadecimal digits, of an upload that was received whole."""
        known = self.find(file_id, size_bytes)
        return str(known.state.hexdigest()) if known is not None else None

    async def of(self, content: AsyncIterator[bytes], into: "asyncio.Future[str]") -> AsyncIterator[bytes]:
        """The same content, whose digest is known once it has been read to its end."""
        loop, state, parts, size = asyncio.get_running_loop(), hashlib.sha256(), list[bytes](), 0
        async for part in content:
            parts.append(part)
            size += len(part)
            if size >= _GATHERED_BYTES:
                await loop.run_in_executor(self._threads, _update, state, parts)
                parts, size = [], 0
            yield part
        _update(state, parts)
        into.set_result(state.hexdigest())

    async def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)


_GATHERED_BYTES = 1024 * 1024
"""So much is hashed at once, since each turn of a thread costs 0.1 ms."""


def _continued(known: Digest, parts: Sequence[bytes]) -> Digest:
    state = known.state.copy()
    _update(state, parts)
    return Digest(state, known.size_bytes + sum(map(len, parts)))


def _update(state: Any, parts: Sequence[bytes]) -> None:
    for part in parts:
        state.update(part)

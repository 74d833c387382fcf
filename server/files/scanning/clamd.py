"""ClamAV's daemon: contents are streamed to it, and never shared as files."""

import asyncio
import gzip
import struct
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager, suppress
from io import BytesIO
from time import monotonic
from typing import TypeVar

from server.files.scanning import Findings, ScannerUnavailable
from server.files.scanning.content_types import HEAD_BYTES, content_type
from server.files.scanning.expanding import Expanding
from server.files.scanning.replies import CLEAN, outcome_of
from storage.files.records import Outcome

_ANSWER_SECONDS = 20.0
"""For what is not a scan, and for each piece to be taken."""
_SCAN_SECONDS = 300.0
"""More than its MaxScanTime, after which it says that a limit was exceeded."""
_CHECK_SECONDS = 600.0
"""How often its limits are checked, though its signatures stay the same."""
_MAX_REPLY_BYTES = 4096
_PIECE_BYTES = 64 * 1024
_PACKED = 4
"""How many times as much as one part may be packed in a content; Debian's MaxScanSize is so many times MaxFileSize."""
_LENGTH = struct.Struct("!I")
_NESTED = 100
"""How often the content that must exceed its MaxRecursion is packed; 17 is the default."""

Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]
_T = TypeVar("_T")


class Clamd:
    """Scans by INSTREAM. What its limits do not cover is unscannable, whatever it says of the rest."""

    name = "clamav"

    def __init__(
        self, connect: Callable[[], Awaitable[Connection]], max_bytes: int, *, clock: Callable[[], float] = monotonic
    ) -> None:
        """`max_bytes` is its MaxFileSize and its StreamMaxLength, or less; below 2 GiB, beyond which ClamAV scans
        nothing, and once called a stream clean.
        """
        self._connect = connect
        self._max_bytes = max_bytes
        self._clock = clock
        self._checked: tuple[str, float] | None = None
        """The signatures with which its limits were checked, and when."""

    async def signatures(self) -> str:
        """Its version with that of its signatures; raises ScannerUnavailable, also where it must not be trusted."""
        version = await self._asked(b"VERSION")
        if not version.startswith("ClamAV "):
            raise ScannerUnavailable(f"clamd said {version!r} of its version")
        now = self._clock()
        if self._checked is None or self._checked[0] != version or now - self._checked[1] > _CHECK_SECONDS:
            await self._check_limits()
            self._checked = version, now
        return version

    async def scan(self, size_bytes: int, content: AsyncIterator[bytes]) -> Findings:
        """What is found in so many bytes; raises ScannerUnavailable."""
        seen = _Seen(self._max_bytes)
        if size_bytes > self._max_bytes:
            async for piece in content:
                seen.head += piece
                if len(seen.head) >= HEAD_BYTES:
                    break
            why = f"it is larger than the {self._max_bytes} bytes that are scanned"
            return Findings(Outcome.UNSCANNABLE, why, seen.type)
        async with aclosing(seen.passing(content, size_bytes)) as passing:
            outcome, detail = outcome_of(await self._streamed(passing))
        if outcome is Outcome.CLEAN and seen.expanding.opaque:
            outcome, detail = Outcome.UNSCANNABLE, seen.expanding.opaque
        return Findings(outcome, detail, seen.type)

    async def _check_limits(self) -> None:
        """Raises ScannerUnavailable where it says OK of what it does not look at, or looks at less than is set."""
        outcome, detail = outcome_of(await self._streamed(_once(await asyncio.to_thread(_nested))))
        if outcome is not Outcome.UNSCANNABLE:
            raise ScannerUnavailable("clamd calls clean what exceeds its limits: set AlertExceedsMax yes in clamd.conf")
        outcome, detail = outcome_of(await self._streamed(_once(await asyncio.to_thread(_zeros, self._max_bytes))))
        if outcome is not Outcome.CLEAN:
            raise ScannerUnavailable(
                f"clamd does not scan the {self._max_bytes} bytes of BACKROOM_FILES_SCANNER_MAX_BYTES ({detail}): lower"
                " that, or raise MaxFileSize, MaxScanSize and StreamMaxLength in clamd.conf"
            )

    async def _asked(self, command: bytes) -> str:
        async with self._connected() as (reader, writer):
            writer.write(b"z" + command + b"\0")
            return await _within(_ANSWER_SECONDS, _reply(reader))

    async def _streamed(self, content: AsyncIterator[bytes]) -> str:
        """Its reply to a content; it may reply before the content's end, and take no more."""
        async with self._connected() as (reader, writer):
            reply, whole = asyncio.create_task(_reply(reader)), False
            try:
                with suppress(ConnectionError):  # what it said before it hung up counts, if it said anything
                    whole = await self._send(writer, content, reply)
                said = await _within(_SCAN_SECONDS, reply)
                if not whole and said == CLEAN:
                    raise ScannerUnavailable("clamd called a content clean before it had all of it")
                return said
            finally:
                reply.cancel()
                with suppress(asyncio.CancelledError, ScannerUnavailable):
                    await reply

    async def _send(
        self, writer: asyncio.StreamWriter, content: AsyncIterator[bytes], reply: asyncio.Task[str]
    ) -> bool:
        """False where it replied, or hung up, before it had all."""
        writer.write(b"zINSTREAM\0")
        async for chunk in content:
            for begin in range(0, len(chunk), _PIECE_BYTES):
                piece = chunk[begin : begin + _PIECE_BYTES]
                if reply.done() or writer.is_closing():
                    return False
                writer.write(_LENGTH.pack(len(piece)) + piece)
                await _within(_ANSWER_SECONDS, writer.drain())
        if reply.done() or writer.is_closing():
            return False
        writer.write(_LENGTH.pack(0))
        await _within(_ANSWER_SECONDS, writer.drain())
        return True

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[Connection]:
        try:
            reader, writer = await _within(_ANSWER_SECONDS, self._connect())
        except OSError as error:
            raise ScannerUnavailable(f"clamd does not respond: {error}") from error
        try:
            yield reader, writer
        except OSError as error:
            raise ScannerUnavailable(f"clamd hung up: {error}") from error
        finally:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()


class _Seen:
    """What is noticed of a content on its way to the scanner."""

    def __init__(self, max_bytes: int) -> None:
        self.head = b""
        self.expanding = Expanding(max_bytes, _PACKED * max_bytes)

    @property
    def type(self) -> str:
        return content_type(self.head[:HEAD_BYTES])

    async def passing(self, content: AsyncIterator[bytes], size_bytes: int) -> AsyncGenerator[bytes, None]:
        """The content; raises ScannerUnavailable where it is not as long as was said."""
        passed = 0
        async for piece in content:
            if len(self.head) < HEAD_BYTES:
                self.head += piece[:HEAD_BYTES]
            passed += len(piece)
            await asyncio.to_thread(self.expanding.feed, piece)
            yield piece
        self.expanding.finish()
        if passed != size_bytes:
            raise ScannerUnavailable(f"the content has {passed} bytes instead of {size_bytes}")


async def _reply(reader: asyncio.StreamReader) -> str:
    """A whole reply, which ends with a zero; raises ScannerUnavailable."""
    said = b""
    while not said.endswith(b"\0"):
        try:
            more = await reader.read(_MAX_REPLY_BYTES)
        except OSError as error:
            raise ScannerUnavailable(f"clamd hung up: {error}") from error
        said += more
        if not more or len(said) > _MAX_REPLY_BYTES:
            raise ScannerUnavailable(f"clamd broke off after {said[:100]!r}")
    return said[:-1].decode(errors="replace").strip()


async def _within(seconds: float, action: Awaitable[_T]) -> _T:
    try:
        async with asyncio.timeout(seconds):
            return await action
    except TimeoutError:
        raise ScannerUnavailable(f"clamd does not respond within {seconds:.0f} s") from None


async def _once(content: bytes) -> AsyncIterator[bytes]:
    yield content


def _nested() -> bytes:
    """What exceeds a limit of any ClamAV, in less than a kilobyte."""
    content = b"nothing"
    for _ in range(_NESTED):
        content = gzip.compress(content, mtime=0)
    return content


def _zeros(count: int) -> bytes:
    """So many zeros, packed."""
    written = BytesIO()
    with gzip.GzipFile(fileobj=written, mode="wb", compresslevel=1, mtime=0) as packed:
        piece = bytes(1024 * 1024)
        for begin in range(0, count, len(piece)):
            packed.write(piece[: count - begin])
    return written.getvalue()

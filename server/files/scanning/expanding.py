"""What a content holds that a scanner may pass over and still call clean.

ClamAV looks at no more of a ZIP's member than its MaxFileSize, and at none that is encrypted, and says OK of the rest.
"""

import bz2
import lzma
import re
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

_PIECE_BYTES = 256 * 1024
"""How much is expanded at a time."""
_MAX_DEPTH = 16
_MAX_PARTS = 10_000
"""As ClamAV's MaxFiles."""
_MAX_AT_ONCE = 16
"""Parts of one layer that have not ended; what packs honestly has one behind the other."""
_MAX_MEMORY_BYTES = 72 * 1024 * 1024
"""Of one part: what `xz -9` needs, which is the most."""

_SIGN = re.compile(rb"PK\x03\x04|PK\x01\x02|\x1f\x8b\x08|BZh[1-9]1AY&SY|\xfd7zXZ\x00", re.DOTALL)
_LOCAL = struct.Struct("<4xHHH16xHH")
"""Of a ZIP's member: version, flags, method, and the lengths of what follows before its bytes."""
_CENTRAL = struct.Struct("<6xHHH")
"""Of the entry in a ZIP's directory: version, flags, method."""
_HEADER_BYTES = 30
"""How much of what follows a sign is needed to read it."""
_NEWEST_ZIP = 63
_STORED, _DEFLATED = 0, 8
_METHODS = {*range(20), *range(93, 100)}


class _Opaque(Exception):
    """The content holds what may have been passed over; the text says what."""


class _Expander(Protocol):
    def expanded(self, content: bytes) -> Iterator[bytes]:
        """What comes out of more content, in pieces of bounded size; raises what its library raises."""
        ...

    @property
    def ended(self) -> bool: ...


class _Inflating:
    """Deflate, as it is in a ZIP, or a gzip."""

    def __init__(self, window_bits: int) -> None:
        self._zlib = zlib.decompressobj(window_bits)

    def expanded(self, content: bytes) -> Iterator[bytes]:
        while content and not self._zlib.eof:
            yield self._zlib.decompress(content, _PIECE_BYTES)
            content = self._zlib.unconsumed_tail

    @property
    def ended(self) -> bool:
        return self._zlib.eof


class _Unpacking:
    """bzip2 or xz."""

    def __init__(self, library: bz2.BZ2Decompressor | lzma.LZMADecompressor) -> None:
        self._library = library

    def expanded(self, content: bytes) -> Iterator[bytes]:
        while not self._library.eof:
            piece = self._library.decompress(content, _PIECE_BYTES)
            content = b""
            if not piece and self._library.needs_input:
                return
            yield piece

    @property
    def ended(self) -> bool:
        return self._library.eof


@dataclass
class _Limits:
    part_bytes: int
    all_bytes: int
    expanded_bytes: int = 0
    parts: int = 0


class Expanding:
    """Looks through a content as it passes, and through what is packed in it, in bounded memory."""

    def __init__(self, part_bytes: int, all_bytes: int) -> None:
        """How large one packed part may be, and all that is packed together."""
        self._outermost = _Layer(_Limits(part_bytes, all_bytes), 0)
        self.opaque = ""
        """Why the content cannot be called clean, though a scanner may; empty where nothing speaks against it."""

    def feed(self, content: bytes) -> None:
        """More of the content. It takes time: to be called in a thread."""
        if self.opaque:
            return
        try:
            self._outermost.feed(content)
        except _Opaque as reason:
            self.opaque = str(reason)

    def finish(self) -> None:
        """That there is no more."""
        self.feed(bytes(_HEADER_BYTES))


class _Layer:
    """The bytes of a content, or of what one of its parts expands to."""

    def __init__(self, limits: _Limits, depth: int) -> None:
        self._limits = limits
        self._depth = depth
        self._tail = b""
        """What was seen, but may begin with a sign whose header is not whole yet."""
        self._parts: list[_Part] = []

    def feed(self, content: bytes) -> None:
        self._parts = [part for part in self._parts if part.feed(content)]
        window = self._tail + content
        for sign in _SIGN.finditer(window):
            if sign.start() + _HEADER_BYTES > len(window):
                break
            self._open(window, sign.start())
        self._tail = window[-(_HEADER_BYTES - 1) :]

    def _open(self, window: bytes, at: int) -> None:
        found = _opened(window[at : at + _HEADER_BYTES])
        if found is None:
            return
        self._limits.parts += 1
        if self._depth == _MAX_DEPTH or self._limits.parts > _MAX_PARTS:
            raise _Opaque(f"it is packed more than {_MAX_DEPTH} times, or has more than {_MAX_PARTS} packed parts")
        if len(self._parts) == _MAX_AT_ONCE:
            raise _Opaque("its packed parts overlap")
        expander, skipped = found
        part = _Part(expander, skipped, self._limits, self._depth)
        if part.feed(window[at:]):
            self._parts.append(part)


class _Part:
    """A packed part of a layer, from its first byte on."""

    def __init__(self, expander: _Expander, skipped_bytes: int, limits: _Limits, depth: int) -> None:
        self._expander = expander
        self._skipped_bytes = skipped_bytes
        self._limits = limits
        self._depth = depth
        self._inner: _Layer | None = None
        self._size = 0

    def feed(self, content: bytes) -> bool:
        """False once the part has ended, or turns out to be none."""
        if self._skipped_bytes >= len(content):
            self._skipped_bytes -= len(content)
            return True
        packed, self._skipped_bytes = content[self._skipped_bytes :], 0
        try:
            for piece in self._expander.expanded(packed):
                self._take(piece)
        except (zlib.error, OSError, EOFError):
            return False
        except (lzma.LZMAError, MemoryError) as error:
            if "limit" in str(error):
                raise _Opaque("it takes too much memory to be unpacked") from error
            return False
        return not self._expander.ended

    def _take(self, piece: bytes) -> None:
        self._size += len(piece)
        self._limits.expanded_bytes += len(piece)
        if self._size > self._limits.part_bytes or self._limits.expanded_bytes > self._limits.all_bytes:
            raise _Opaque("it expands to more than the scanner looks at")
        if piece:
            self._inner = self._inner or _Layer(self._limits, self._depth + 1)
            self._inner.feed(piece)


def _opened(header: bytes) -> tuple[_Expander, int] | None:
    """What expands a part, and how many bytes to skip first; None where nothing is to be expanded. Raises _Opaque."""
    if header.startswith(b"PK\x03\x04"):
        version, flags, method, name, extra = _LOCAL.unpack_from(header)
        _check_member(version, flags, method)
        # Whatever method it claims to have: the directory may say another.
        return _Inflating(-zlib.MAX_WBITS), _LOCAL.size + name + extra
    if header.startswith(b"PK\x01\x02"):
        version, flags, method = _CENTRAL.unpack_from(header)
        _check_member(version, flags, method)
        return None
    if header.startswith(b"\x1f\x8b"):
        return None if header[3] & 0xE0 else (_Inflating(zlib.MAX_WBITS | 16), 0)
    if header.startswith(b"BZh"):
        return _Unpacking(bz2.BZ2Decompressor()), 0
    return _Unpacking(lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_MAX_MEMORY_BYTES)), 0


def _check_member(version: int, flags: int, method: int) -> None:
    """Raises _Opaque of what no scanner can look into."""
    if version & 0xFF > _NEWEST_ZIP or method not in _METHODS:
        return  # the sign stands there by chance
    if flags & 1:
        raise _Opaque("it is encrypted")
    if method not in (_STORED, _DEFLATED):
        raise _Opaque("it is packed in a way that is not looked into")

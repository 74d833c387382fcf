"""Blocks of headers (HPACK, RFC 7541) that carry no state from one to the next: both sides' tables are empty."""

from collections.abc import Iterable, Iterator, Mapping

import hpack
from hpack.hpack import decode_integer

from load.frames import Malformed

_MAX_KEPT = 256

_MAX_NUMBER = 6
"""In bytes: more than a block's length needs."""

_WELL = tuple(kind + b"\x0bgrpc-status\x010" for kind in (b"\x40", b"\x00", b"\x10"))
"""The status 0, as a literal that is to be indexed, not, or never: nothing else of such an end matters."""


def block_of(headers: Iterable[tuple[str, str]]) -> bytes:
    """A block that can be sent any number of times."""
    # Never-indexed headers go into no table; without Huffman coding they are decoded faster.
    return hpack.Encoder().encode([(name, value, True) for name, value in headers], huffman=False)


class BlockReader:
    """Reads the blocks of a peer whose table size SETTINGS set to zero; a repeated block is decoded only once."""

    def __init__(self) -> None:
        self._decoder = hpack.Decoder()
        self._decoder.header_table_size = 0
        self._decoder.max_allowed_table_size = 0
        self._kept: dict[bytes, Mapping[str, str]] = {}
        self._good = b""

    def ends_well(self, block: bytes) -> bool:
        """Whether a block that ends a response begins with the status OK; the status may also come later in it."""
        return block.startswith(_WELL)

    def begins_well(self, block: bytes) -> bool:
        """Whether a block that does not end a response may be followed by one. Raises Malformed."""
        if block != self._good:
            status = self.read(block).get(":status", "")
            if status != "200" and not status.startswith("1"):
                return False
            self._good = block
        return True

    def read(self, block: bytes) -> Mapping[str, str]:
        """The headers by name; of a duplicate, the last. Raises Malformed.

        Without state each header is complete, and single headers repeat, even in blocks that also hold a unique id.
        """
        headers: dict[str, str] = {}
        try:
            for part in _parts(block):
                headers.update(self._kept.get(part) or self._decoded(part))
        except (hpack.HPACKError, IndexError) as error:
            raise Malformed(f"a block of headers that cannot be read: {error}") from None
        return headers

    def _decoded(self, part: bytes) -> Mapping[str, str]:
        header = {str(name): str(value) for name, value in self._decoder.decode(part)}
        if len(self._kept) >= _MAX_KEPT:
            del self._kept[next(iter(self._kept))]
        self._kept[part] = header
        return header


def _parts(block: bytes) -> Iterator[bytes]:
    """Splits a block into its headers and table size updates."""
    end = 0
    while end < len(block):
        begin, first = end, block[end]
        literal = not first & 0x80 and first & 0xE0 != 0x20
        index, end = _number(block, end, 7 if first & 0x80 else 6 if first & 0x40 else 5 if first & 0x20 else 4)
        for _ in range((1 if index else 2) if literal else 0):
            length, end = _number(block, end, 7)
            end += length
        yield block[begin:end]


def _number(block: bytes, place: int, bits: int) -> tuple[int, int]:
    """An integer that begins in the last bits of a byte, and the position after it."""
    most = (1 << bits) - 1
    if (number := block[place] & most) < most:
        return number, place + 1
    number, size = decode_integer(block[place : place + _MAX_NUMBER], bits)
    return number, place + size

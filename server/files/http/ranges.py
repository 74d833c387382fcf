"""Which part of a content a request wants (RFC 9110, 14)."""

import re
from dataclasses import dataclass

_RANGE = re.compile(r"bytes=\s*(?:([0-9]{1,18})-([0-9]{0,18})|-([0-9]{1,18}))\s*")


@dataclass(frozen=True, slots=True)
class ByteRange:
    """So many bytes from an offset on."""

    offset: int
    length: int

    def content_range(self, size: int) -> str:
        return f"bytes {self.offset}-{self.offset + self.length - 1}/{size}"


class Unsatisfiable(Exception):
    """The range begins behind the content's end."""


def byte_range(header: str, size: int) -> ByteRange | None:
    """The range that a header wants of so many bytes.

    None where there is none, where it is malformed, or of several ranges, which a server may ignore: then the whole
    content is answered. Raises Unsatisfiable.
    """
    found = _RANGE.fullmatch(header)
    if found is None:
        return None
    first, last, suffix = found.groups()
    if suffix is not None:
        length = min(int(suffix), size)
        if not length:
            raise Unsatisfiable
        return ByteRange(size - length, length)
    begin, end = int(first), int(last) if last else size - 1
    if last and end < begin:
        return None
    if begin >= size:
        raise Unsatisfiable
    return ByteRange(begin, min(end, size - 1) - begin + 1)

"""What is asked of a process that makes thumbnails, and what it answers."""

import struct
from enum import Enum

MAX_IMAGE_BYTES = 32 * 1024 * 1024
MAX_PIXELS = 50_000_000
"""Of an image, before it is made smaller."""
MAX_MEMORY_BYTES = 640 * 1024 * 1024
"""Of addresses: an image of the most pixels twice, and what a process needs besides."""
CPU_SECONDS = 5.0

_REQUEST = struct.Struct("!I")
_ANSWER = struct.Struct("!BII")


class Ending(Enum):
    """How an image ended: as a thumbnail, or why there is none."""

    MADE = "made"
    NO_IMAGE = "it is no JPEG, PNG, GIF or WebP"
    TOO_LARGE = "it has more bytes or pixels than are read"
    ANIMATED = "it is animated"
    BROKEN = "it is cut short or broken"
    POLYGLOT = "it is also a file of another kind"
    TOO_COSTLY = "it takes too much time or memory"


_ENDINGS = tuple(Ending)


def request_of(content: bytes, edge_pixels: int) -> bytes:
    return _REQUEST.pack(edge_pixels) + content


def read_request(request: bytes) -> tuple[bytes, int]:
    """The content, and the longest edge in pixels."""
    (edge,) = _REQUEST.unpack_from(request)
    return request[_REQUEST.size :], edge


def answered(ending: Ending, width: int = 0, height: int = 0, webp: bytes = b"") -> bytes:
    return _ANSWER.pack(_ENDINGS.index(ending), width, height) + webp


def answer_of(answer: bytes | None) -> tuple[Ending, int, int, bytes]:
    """How it ended, the width, the height, and the WebP; too costly where the process had to be ended."""
    if answer is None:
        return Ending.TOO_COSTLY, 0, 0, b""
    ending, width, height = _ANSWER.unpack_from(answer)
    return _ENDINGS[ending], width, height, answer[_ANSWER.size :]

"""The frames of HTTP/2 (RFC 9113), as bytes and back."""

from collections.abc import Iterator, Mapping
from enum import IntEnum
from struct import Struct
from typing import TypeAlias

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
"""The client's first bytes."""

MAX_FRAME = 16_384
"""In bytes of payload: what every peer accepts, and the most that we accept."""

MAX_BLOCK = 65_536
"""In bytes: the largest block of headers that we accept."""

FIRST_WINDOW = 65_535
"""In bytes: the initial window of a connection and of a stream."""

MAX_WINDOW = 2**31 - 1

END_STREAM = 0x1
ACK = 0x1
END_HEADERS = 0x4
PADDED = 0x8
PRIORITY = 0x20


class Type(IntEnum):
    """The frame types that matter here; others are ignored."""

    DATA = 0x0
    HEADERS = 0x1
    RST_STREAM = 0x3
    SETTINGS = 0x4
    PUSH_PROMISE = 0x5
    PING = 0x6
    GOAWAY = 0x7
    WINDOW_UPDATE = 0x8
    CONTINUATION = 0x9


class Setting(IntEnum):
    HEADER_TABLE_SIZE = 0x1
    ENABLE_PUSH = 0x2
    MAX_CONCURRENT_STREAMS = 0x3
    INITIAL_WINDOW_SIZE = 0x4
    MAX_FRAME_SIZE = 0x5


class ErrorCode(IntEnum):
    """Why a stream or a connection ended."""

    NO_ERROR = 0x0
    PROTOCOL_ERROR = 0x1
    INTERNAL_ERROR = 0x2
    FLOW_CONTROL_ERROR = 0x3
    SETTINGS_TIMEOUT = 0x4
    STREAM_CLOSED = 0x5
    FRAME_SIZE_ERROR = 0x6
    REFUSED_STREAM = 0x7
    CANCEL = 0x8
    COMPRESSION_ERROR = 0x9
    CONNECT_ERROR = 0xA
    ENHANCE_YOUR_CALM = 0xB
    INADEQUATE_SECURITY = 0xC
    HTTP_1_1_REQUIRED = 0xD


class Malformed(ConnectionError):
    """The peer's bytes are not HTTP/2."""


Frame: TypeAlias = tuple[int, int, int, bytes]
"""Its type, its flags, its stream's number and its payload."""

_HEAD = Struct(">HBBBI")
_SETTING = Struct(">HI")
_NUMBER = Struct(">I")
_PAIR = Struct(">II")
_HEAD_SIZE = 9
_WITHOUT_RESERVED = 0x7FFFFFFF


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    size = len(payload)
    return _HEAD.pack(size >> 8, size & 0xFF, kind, flags, stream) + payload


def headers(stream: int, block: bytes, *, ends: bool = False) -> bytes:
    """A block of headers, in as many frames as it needs."""
    if len(block) <= MAX_FRAME:
        return frame(Type.HEADERS, END_HEADERS | (END_STREAM if ends else 0), stream, block)
    parts = [block[start : start + MAX_FRAME] for start in range(0, len(block), MAX_FRAME)]
    kinds = [Type.HEADERS, *[Type.CONTINUATION] * (len(parts) - 1)]
    flags = [END_STREAM if ends else 0, *[0] * (len(parts) - 1)]
    flags[-1] |= END_HEADERS
    return b"".join(frame(kind, flag, stream, part) for kind, flag, part in zip(kinds, flags, parts, strict=True))


def data(stream: int, payload: bytes, *, ends: bool = False) -> bytes:
    return frame(Type.DATA, END_STREAM if ends else 0, stream, payload)


def settings(values: Mapping[Setting, int]) -> bytes:
    return frame(Type.SETTINGS, 0, 0, b"".join(_SETTING.pack(name, value) for name, value in values.items()))


def settings_ack() -> bytes:
    return frame(Type.SETTINGS, ACK, 0)


def ping_ack(payload: bytes) -> bytes:
    return frame(Type.PING, ACK, 0, payload)


def window_update(stream: int, increment: int) -> bytes:
    return frame(Type.WINDOW_UPDATE, 0, stream, _NUMBER.pack(increment))


def rst_stream(stream: int, code: ErrorCode) -> bytes:
    return frame(Type.RST_STREAM, 0, stream, _NUMBER.pack(code))


def goaway(code: ErrorCode) -> bytes:
    """The GOAWAY of a client, which accepts no streams from its peer."""
    return frame(Type.GOAWAY, 0, 0, _PAIR.pack(0, code))


def read_settings(payload: bytes) -> dict[int, int]:
    """The values by their number; of a duplicate, the last counts."""
    if len(payload) % _SETTING.size:
        raise Malformed("SETTINGS of a size that is none")
    return dict(_SETTING.iter_unpack(payload))


def read_number(payload: bytes) -> int:
    """The number in WINDOW_UPDATE or RST_STREAM."""
    if len(payload) != _NUMBER.size:
        raise Malformed("a frame of a size that its type does not have")
    number: int = _NUMBER.unpack(payload)[0]
    return number


def read_goaway(payload: bytes) -> tuple[int, int, bytes]:
    """The last stream that the peer processes, the error's code, and its debug data."""
    if len(payload) < _PAIR.size:
        raise Malformed("GOAWAY of a size that is none")
    last, code = _PAIR.unpack_from(payload)
    return last & _WITHOUT_RESERVED, code, payload[_PAIR.size :]


def content(flags: int, payload: bytes) -> bytes:
    """The content of DATA or HEADERS, without padding and priority."""
    if not flags & (PADDED | PRIORITY):
        return payload
    start, end = 0, len(payload)
    if flags & PADDED:
        start, end = 1, end - (payload[0] if payload else 0)
    if flags & PRIORITY:
        start += 5
    if start > end:
        raise Malformed("padding larger than its frame")
    return payload[start:end]


class FrameReader:
    """Splits a connection's bytes into frames, however they were divided on the way."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, received: bytes) -> Iterator[Frame]:
        """The frames that are complete now; iterate to the end. Raises Malformed."""
        if self._rest:
            received = self._rest + received
        place, end = 0, len(received)
        unpack = _HEAD.unpack_from
        while end - place >= _HEAD_SIZE:
            high, low, kind, flags, stream = unpack(received, place)
            size = high << 8 | low
            if size > MAX_FRAME:
                raise Malformed(f"a frame of {size:,} bytes")
            begin = place + _HEAD_SIZE
            if end - begin < size:
                break
            place = begin + size
            yield kind, flags, stream & _WITHOUT_RESERVED, received[begin:place]
        self._rest = received[place:]

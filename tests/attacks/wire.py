"""An attacker's HTTP/2: any frames, as bytes, over a plain socket."""

import gzip
import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from struct import pack

from hpack import Encoder

from load import frames

Header = tuple[bytes, bytes]


class Attacker:
    """One connection that sends anything; the server's bytes are read and dropped, or not even read."""

    def __init__(
        self, port: int, token: str, *, address: str = "127.0.0.1", reads: bool = True, acknowledges: bool = True
    ) -> None:
        """`reads` is whether it reads at all, `acknowledges` whether it acknowledges the server's settings."""
        self.token = token
        self.port = port
        self.sent = 0
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=60, source_address=(address, 0))
        self._encoder = Encoder()
        self._next = 1
        self.send(frames.PREFACE + frames.settings({}))
        if reads:
            threading.Thread(target=self._drain, daemon=True).start()
        if acknowledges:
            self.send(frames.settings_ack())

    def send(self, data: bytes) -> None:
        """Sends until the server no longer accepts it: one that has closed the connection has defended itself."""
        with suppress(OSError):
            self._socket.sendall(data)
            self.sent += len(data)

    def stream(self) -> int:
        number, self._next = self._next, self._next + 2
        return number

    def block(self, path: str, *further: Header, token: bool = False, authority: str = "x") -> bytes:
        """A call's headers, compressed with the connection's current table."""
        headers: list[Header] = [
            (b":method", b"POST"),
            (b":scheme", b"http"),
            (b":path", path.encode()),
            (b":authority", authority.encode()),
            (b"content-type", b"application/grpc"),
            (b"te", b"trailers"),
        ]
        if token:
            headers.append((b"authorization", b"Bearer " + self.token.encode()))
        encoded: bytes = self._encoder.encode([*headers, *further])
        return encoded

    def open(self, path: str, *further: Header, token: bool = False, ends: bool = False) -> int:
        """Opens a call, and returns its stream's number."""
        number = self.stream()
        self.send(frames.headers(number, self.block(path, *further, token=token), ends=ends))
        return number

    def call(self, path: str, body: bytes, *further: Header, token: bool = False) -> int:
        """A complete call: headers, one message, and the end."""
        number = self.stream()
        block = self.block(path, *further, token=token)
        self.send(frames.headers(number, block) + b"".join(pieces(number, body)))
        return number

    def close(self) -> None:
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    def _drain(self) -> None:
        with suppress(OSError):
            while self._socket.recv(1 << 16):
                pass


@contextmanager
def attacker(
    port: int, token: str, *, address: str = "127.0.0.1", reads: bool = True, acknowledges: bool = True
) -> Iterator[Attacker]:
    opened = Attacker(port, token, address=address, reads=reads, acknowledges=acknowledges)
    try:
        yield opened
    finally:
        opened.close()


def pieces(number: int, body: bytes, *, ends: bool = True) -> Sequence[bytes]:
    """A body as DATA frames."""
    size = frames.MAX_FRAME
    cut = [body[start : start + size] for start in range(0, len(body), size)] or [b""]
    return [frames.data(number, each, ends=ends and at == len(cut) - 1) for at, each in enumerate(cut)]


def message(content: bytes, *, compressed: bool = False) -> bytes:
    """A message with gRPC's prefix; compressed by gzip if requested."""
    body = gzip.compress(content, 9) if compressed else content
    return pack(">BI", compressed, len(body)) + body


def field(number: int, content: bytes) -> bytes:
    """A field of bytes, a string or a message."""
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def _varint(value: int) -> bytes:
    found = bytearray()
    while value > 127:
        found.append(value & 127 | 128)
        value >>= 7
    return bytes([*found, value])


GZIP: Header = (b"grpc-encoding", b"gzip")

"""Whole files over HTTP/1.1, by a client that costs next to nothing: plain sockets, which block in a thread."""

import asyncio
import socket
from collections.abc import Callable, Sequence

_AT_ONCE = 1024 * 1024
_TIMEOUT_SECONDS = 300.0
_END_OF_HEAD = b"\r\n\r\n"


class WrongAnswer(Exception):
    """It is no whole answer, or says something else than was asked for; the text has its begin."""


async def sent(address: str, head: bytes, parts: Sequence[bytes], status: int) -> tuple[bytes, bytes]:
    """Sends a head, which must ask for the connection to be closed, and a body; returns the answer's head and body.

    Raises WrongAnswer where the status is another one.
    """

    def send() -> tuple[bytes, bytes]:
        answer = bytearray()
        with _connected(address) as connection:
            connection.sendall(head)
            for part in parts:
                connection.sendall(part)
            while received := connection.recv(_AT_ONCE):
                answer += received
        begin, found, body = bytes(answer).partition(_END_OF_HEAD)
        _check(begin, bool(found), status)
        return begin, body

    return await asyncio.to_thread(send)


async def received(address: str, head: bytes, take: Callable[[memoryview], object] = len) -> int:
    """Sends a head, and returns how many bytes the body has that it is answered with, each part of which is taken."""

    def receive() -> int:
        buffer = memoryview(bytearray(_AT_ONCE))
        with _connected(address) as connection:
            connection.sendall(head)
            begin = bytearray()
            while _END_OF_HEAD not in begin:
                if not (count := connection.recv_into(buffer)):
                    break
                begin += buffer[:count]
            said, found, rest = bytes(begin).partition(_END_OF_HEAD)
            _check(said, bool(found), 200)
            take(memoryview(rest))
            size = len(rest)
            while count := connection.recv_into(buffer):
                take(buffer[:count])
                size += count
        return size

    return await asyncio.to_thread(receive)


def _check(head: bytes, found: bool, status: int) -> None:
    if not found or b" %d " % status not in head.partition(b"\r\n")[0]:
        raise WrongAnswer(head[:300].decode(errors="replace"))


def _connected(address: str) -> socket.socket:
    host, _, port = address.rpartition(":")
    return socket.create_connection((host, int(port)), timeout=_TIMEOUT_SECONDS)

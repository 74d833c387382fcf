"""Files that are sent as they are: within the kernel, without a copy of their bytes in this process."""

import asyncio
import os
import select
import socket
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from server.frame.shielding import in_thread

_THREADS = 4
_BYTES_A_TURN = 8 * 1024 * 1024
"""Of one thread, after which others have theirs: each turn costs 0.1 ms."""
_WAIT_MILLISECONDS = 20
"""For how long a thread waits for a reader, who makes room again and again; for one who is slower, none waits."""


class FileSender:
    """Sends parts of files to connections; slow readers take no thread."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="sending")

    async def send(self, to: socket.socket, file: int, offset: int, length: int, within: float) -> None:
        """Sends so many bytes of an open file to a socket that does not block.

        Raises TimeoutError where the reader makes no room for so many seconds, EOFError where the file is shorter,
        and ConnectionError.
        """
        end = offset + length
        while offset < end:
            most = min(_BYTES_A_TURN, end - offset)
            sent = await in_thread(self._threads, partial(_sent, to.fileno(), file, offset, most))
            offset += sent
            if not sent:
                async with asyncio.timeout(within):
                    await _writable(to)

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)


def _sent(to: int, file: int, offset: int, most: int) -> int:
    """How many bytes were sent: fewer than `most` where the reader takes its time."""
    sent, room = 0, select.poll()
    room.register(to, select.POLLOUT)
    while sent < most:
        try:
            count = os.sendfile(to, file, offset + sent, most - sent)
        except BlockingIOError:
            if not room.poll(_WAIT_MILLISECONDS):
                break
            continue
        if not count:
            raise EOFError("the file is shorter than it should be")
        sent += count
    return sent


async def _writable(to: socket.socket) -> None:
    loop, room = asyncio.get_running_loop(), asyncio.Event()
    loop.add_writer(to.fileno(), room.set)
    try:
        await room.wait()
    finally:
        loop.remove_writer(to.fileno())

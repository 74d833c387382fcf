"""The connections of the gRPC side as the system has them: gRPC's core can end them, and cannot keep them waiting.

Why a stop needs that: docs/decisions/0027.
"""

import asyncio
import os
import socket
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

_DESCRIPTORS = Path("/proc/self/fd")
"""Where Linux lists what this process has open; elsewhere nothing is paused, and a stop may cancel the newest calls."""
_MAX_BYTES = 1 << 30
"""More than the system lets wait unread; it takes as much as it can."""
_READ_BYTES = 1 << 16


class ClientConnections:
    """Whoever is connected to some ports of this process."""

    def __init__(self, *ports: int) -> None:
        self._ports = frozenset(ports)
        self._open: list[socket.socket] = []

    def stop_accepting(self) -> None:
        """Accepts no more connections, before those who are connected are sent elsewhere.

        Where several processes share the port, they would connect here again, and be refused a moment later.
        """
        for number, found in self._sockets():
            with found:
                if not found.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
                    continue
            # gRPC's core keeps its descriptor, which then refers to a socket that nobody knows: closed beneath it, it
            # would be another connection's.
            with socket.socket() as nobody_s:
                os.dup2(nobody_s.fileno(), number, inheritable=False)

    def pause_reading(self) -> None:
        """Leaves unread what they send from now on, on every connection that there is; they are still written to."""
        self._let_wait_for(_MAX_BYTES)

    def resume_reading(self) -> None:
        """Has what they sent meanwhile be read."""
        self._let_wait_for(1)

    def keep_open(self) -> None:
        """Keeps the connections from being reset once they are closed here, though something unread came on them."""
        self._open.extend(self._connections())

    async def close_when_clients_do(self, within: float) -> None:
        """Closes the connections that were kept open, each when its client has closed it too, or after so many
        seconds."""
        with suppress(TimeoutError):
            async with asyncio.timeout(within):
                await asyncio.gather(*map(_closed, self._open))
        for each in self._open:
            each.close()
        self._open.clear()

    def _let_wait_for(self, count: int) -> None:
        """Has a connection count as readable only once so many bytes wait."""
        for each in self._connections():
            with each, suppress(OSError):  # its caller may be gone
                each.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, count)

    def _connections(self) -> Iterator[socket.socket]:
        """Each connection to the ports, by a descriptor of its own."""
        for _, found in self._sockets():
            try:
                found.getpeername()
            except OSError:  # it listens
                found.close()
            else:
                yield found

    def _sockets(self) -> Iterator[tuple[int, socket.socket]]:
        """All of the ports, each with its number and by a descriptor of its own."""
        open_now = [int(each.name) for each in _DESCRIPTORS.iterdir()] if _DESCRIPTORS.is_dir() else []
        for number in open_now:
            found = _socket(number)
            if found is not None and _port(found) in self._ports:
                yield number, found
            elif found is not None:
                found.close()


def _port(found: socket.socket) -> int | None:
    try:
        return int(found.getsockname()[1]) if found.family in (socket.AF_INET, socket.AF_INET6) else None
    except OSError:
        return None


def _socket(number: int) -> socket.socket | None:
    """The socket of a descriptor; None where that is something else, or was closed meanwhile."""
    try:
        if stat.S_ISSOCK(os.fstat(number).st_mode):
            return socket.socket(fileno=os.dup(number))
    except OSError:  # or there is no descriptor left
        pass
    return None


async def _closed(connection: socket.socket) -> None:
    """Returns once the other side has closed a connection; what it sends until then is dropped."""
    connection.setblocking(False)
    with suppress(OSError):
        while await asyncio.get_running_loop().sock_recv(connection, _READ_BYTES):
            pass

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Callable, Iterator

import uvicorn
from starlette.applications import Starlette

from server.process.descriptors import Descriptors
from server.process.http.connection import REQUEST_SECONDS, Connection, LastingAnswers
from server.process.http.scheduling import ReadScheduler
from server.process.http.sending import FileSender
from server.process.ports import listening

_MAX_CONNECTIONS = 256
_SHARE = 8
"""At most this part of the process's descriptors is for the HTTP side, and another one for its streams."""
_REST_SECONDS = 0.1
"""In seconds: how long to wait when a connection cannot be taken, for want of a descriptor."""


class Listener:
    """The HTTP side on a socket of its own, in the process's event loop.

    It takes connections itself: the loop would close those that come while descriptors are short, and knows no bound.
    Above the bound, a new connection takes the place of the one whose request has been due for longest.
    """

    def __init__(
        self,
        app: Starlette,
        host: str,
        port: int,
        *,
        inherited: socket.socket | None = None,
        tls: Callable[[], ssl.SSLContext] | None = None,
        descriptors: Descriptors | None = None,
        request_within: float = REQUEST_SECONDS,
        most: int = _MAX_CONNECTIONS,
    ) -> None:
        """Binds immediately; raises OSError where the address is taken. `tls` is called for each connection.

        An `inherited` socket listens there already, and may be shared with other processes.
        """
        self._socket = inherited or listening(host, port)
        self._socket.setblocking(False)
        self._config = uvicorn.Config(
            app,
            ws="none",
            lifespan="off",
            access_log=False,
            # Whoever calls from this machine could say what scheme it used, and where it calls from.
            proxy_headers=False,
            log_config=None,
            # Malformed requests of outsiders are no lines of the log: there would be as many as they want.
            log_level="error",
            server_header=False,
            timeout_graceful_shutdown=5,
        )
        self._server = _Server(self._config)
        self._tls = tls
        self._descriptors = descriptors or Descriptors()
        self._request_within = request_within
        self._most = min(most, max(1, self._descriptors.limit // _SHARE))
        self._awaited: dict[Connection, None] = {}
        # Beside the others, and not among them: they would keep out those who ask and are gone.
        self._lasting = LastingAnswers(max(1, self._descriptors.limit // _SHARE))
        self._scheduler = ReadScheduler()
        self._sender = FileSender()
        self._opening: set[asyncio.Task[None]] = set()
        self._resting: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[None] | None = None

    @property
    def port(self) -> int:
        return int(self._socket.getsockname()[1])

    def start(self) -> None:
        self._config.load()
        self._task = asyncio.create_task(self._server.serve(sockets=[]))
        self._listen()

    async def stop(self) -> None:
        """Finishes the requests under way, and closes."""
        self._pause()
        self._socket.close()
        for opening in self._opening:
            opening.cancel()
        self._server.end()
        if self._task is not None:
            await self._task
        self._sender.close()

    def _listen(self) -> None:
        asyncio.get_running_loop().add_reader(self._socket.fileno(), self._accept)

    def _pause(self) -> None:
        if self._resting is not None:
            self._resting.cancel()
        asyncio.get_running_loop().remove_reader(self._socket.fileno())

    def _accept(self) -> None:
        try:
            with self._descriptors.reserved():
                taken, _ = self._socket.accept()
        except (BlockingIOError, ConnectionAbortedError):
            return
        except OSError:
            self._pause()
            self._resting = asyncio.get_running_loop().call_later(_REST_SECONDS, self._listen)
            return
        taken.setblocking(False)
        self._make_room()
        opening = asyncio.ensure_future(self._open(taken))
        self._opening.add(opening)
        opening.add_done_callback(self._opening.discard)

    def _make_room(self) -> None:
        short_lived = len(self._server.server_state.connections) - len(self._lasting.connections)
        if short_lived + len(self._opening) < self._most:
            return
        if self._awaited:
            next(iter(self._awaited)).give_up()
        elif self._opening:
            next(iter(self._opening)).cancel()

    async def _open(self, taken: socket.socket) -> None:
        """Hands a connection to its protocol, once TLS is agreed on."""
        context = self._tls() if self._tls else None
        within = self._request_within if context else None
        try:
            await asyncio.get_running_loop().connect_accepted_socket(
                self._connection, sock=taken, ssl=context, ssl_handshake_timeout=within
            )
        except (OSError, asyncio.CancelledError):
            taken.close()

    def _connection(self) -> Connection:
        return Connection(
            self._config,
            self._server.server_state,
            self._awaited,
            self._lasting,
            self._scheduler,
            self._sender,
            request_within=self._request_within,
        )


class _Server(uvicorn.Server):
    """Without its waits: it would look ten times a second whether it is to end, and wait where nothing is open."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._ending = asyncio.Event()

    def end(self) -> None:
        self.should_exit = True
        self._ending.set()

    async def main_loop(self) -> None:
        while not await self.on_tick(0):  # which sets the date that answers bear
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(1.0):
                    await self._ending.wait()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        if self.server_state.connections or self.server_state.tasks:
            await super().shutdown(sockets)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leaves the signals to the process, which stops both sides in its own order."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Opens nothing: the listener brings the connections."""
        self.servers = []
        self.started = True

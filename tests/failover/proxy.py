"""A TCP proxy that makes connections vanish: everything sent through them is dropped, without an error."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

_CHUNK_BYTES = 1 << 16


class Proxy:
    """Forwards connections to one port of this machine, until it is told otherwise."""

    def __init__(self, target: int, delay_seconds: float = 0.0) -> None:
        self.target = target
        """Where new connections go."""
        self.port = 0
        self.delay_seconds = delay_seconds
        """How long each piece waits on its way."""
        self._open = asyncio.Event()
        self._open.set()
        self._pipes: set[_Pipe] = set()

    def vanish(self) -> None:
        """From now on everything sent through existing connections is dropped; new ones work."""
        for pipe in self._pipes:
            pipe.swallows = True

    def part(self) -> None:
        """Nothing gets through any more, not even on new connections, without an error."""
        self.vanish()
        self._open.clear()

    def join(self) -> None:
        """New connections work again; vanished ones stay so."""
        self._open.set()

    def cut(self) -> None:
        """Closes the existing connections."""
        for pipe in self._pipes:
            pipe.cut()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # A connection opened while nothing gets through is never answered, and looks like a slow one.
        await self._open.wait()
        try:
            onward = await asyncio.open_connection("127.0.0.1", self.target)
        except OSError:
            writer.transport.abort()
            return
        pipe = _Pipe(self, writer, onward[1])
        self._pipes.add(pipe)
        try:
            await asyncio.gather(pipe.carry(reader, onward[1]), pipe.carry(onward[0], writer))
        finally:
            self._pipes.discard(pipe)
            pipe.cut()


class _Pipe:
    """One connection and its forwarding."""

    def __init__(self, proxy: Proxy, *ends: asyncio.StreamWriter) -> None:
        self.swallows = False
        self._proxy = proxy
        self._ends = ends

    async def carry(self, source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while piece := await source.read(_CHUNK_BYTES):
                if self._proxy.delay_seconds:
                    await asyncio.sleep(self._proxy.delay_seconds)
                if target.is_closing():  # the other direction has ended the connection meanwhile
                    break
                if not self.swallows:
                    target.write(piece)
                    await target.drain()
        if not self.swallows:  # a dropped end of stream is not forwarded either
            target.close()

    def cut(self) -> None:
        for end in self._ends:
            end.transport.abort()


@asynccontextmanager
async def passing_on(target: int, delay_seconds: float = 0.0) -> AsyncIterator[Proxy]:
    """A proxy on a free port within the block."""
    proxy = Proxy(target, delay_seconds)
    running: set[asyncio.Task[None]] = set()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(proxy.serve(reader, writer))
        running.add(task)
        task.add_done_callback(running.discard)

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    proxy.port = int(server.sockets[0].getsockname()[1])
    try:
        yield proxy
    finally:
        server.close()
        proxy.cut()
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)

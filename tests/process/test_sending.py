"""Files that the HTTP side sends within the kernel."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from server.frame.http import file_sending, give_up, stay_open
from server.process.http import sending
from server.process.http.listener import Listener
from tests.files.calling import content_of

SIZE = 30_000_000
"""More than the kernel keeps for a reader that does not read."""


class Sent(Response):
    """A whole file; what its sending ends with goes to `outcomes`."""

    def __init__(self, request: Request, place: Path, outcomes: "asyncio.Queue[str]") -> None:
        super().__init__(headers={"content-length": str(SIZE)})
        self._request, self._place, self._outcomes = request, place, outcomes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        send_file = file_sending(self._request)
        assert send_file is not None
        assert stay_open(self._request)
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        file = os.open(self._place, os.O_RDONLY)
        try:
            await send_file(file, 0, SIZE, 60.0)
            await send({"type": "http.response.body", "body": b"", "more_body": False})
            self._outcomes.put_nowait("sent")
        except (OSError, EOFError) as error:
            self._outcomes.put_nowait(type(error).__name__)
            give_up(self._request)
        finally:
            os.close(file)


@asynccontextmanager
async def listening(place: Path, outcomes: "asyncio.Queue[str]") -> AsyncIterator[int]:
    async def whole(request: Request) -> Response:
        return Sent(request, place, outcomes)

    listener = Listener(Starlette(routes=[Route("/", whole)]), "127.0.0.1", 0)
    listener.start()
    try:
        yield listener.port
    finally:
        await listener.stop()


async def opened(port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A reader that has asked, and reads no more than it must."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=10_000)
    writer.write(b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")
    await reader.readuntil(b"\r\n\r\n")
    return reader, writer


@pytest.fixture
def place(tmp_path: Path) -> Path:
    found = tmp_path / "file"
    found.write_bytes(content_of(SIZE))
    return found


async def test_readers_that_do_not_read_keep_no_thread(place: Path) -> None:
    """More of them than there are threads; another one is sent its file meanwhile, and each is once it reads."""
    outcomes: asyncio.Queue[str] = asyncio.Queue()
    async with listening(place, outcomes) as port:
        waiting = [await opened(port) for _ in range(3 * sending._THREADS)]
        reader, writer = await opened(port)
        assert await reader.read(-1) == content_of(SIZE)
        writer.close()
        assert await outcomes.get() == "sent"
        assert outcomes.empty()
        for reader, writer in waiting:
            assert len(await reader.read(-1)) == SIZE
            writer.close()


async def test_a_reader_that_goes_away_ends_its_sending(place: Path) -> None:
    """At once, and not where its time would end."""
    outcomes: asyncio.Queue[str] = asyncio.Queue()
    async with listening(place, outcomes) as port:
        _, writer = await opened(port)
        writer.transport.abort()
        assert await asyncio.wait_for(outcomes.get(), 30) in ("BrokenPipeError", "ConnectionResetError")

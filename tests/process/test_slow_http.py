"""Slow callers of the HTTP side time out."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from time import monotonic

import pytest
import structlog
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from server.process.certificates import Certificates
from server.process.http.connection import REQUEST_SECONDS
from server.process.http.listener import Listener
from tests.fixtures.servers import Running
from tests.process.papers import authority, files_in, issued
from tests.process.wire import closed
from tests.webhooks.http import Post, sent

WITHIN = 0.6
HEAD = b"POST /take HTTP/1.1\r\nhost: x\r\ncontent-length: 40\r\n\r\n"
GET = b"GET /here HTTP/1.1\r\nhost: x\r\n\r\n"


@asynccontextmanager
async def listening(
    *, tls: Certificates | None = None, most: int = 256, within: float = WITHIN
) -> AsyncIterator[tuple[int, list[str]]]:
    """The port of an HTTP side that waits a fraction of a second for a request; and what its application got."""
    seen: list[str] = []

    async def take(request: Request) -> Response:
        try:
            seen.append(f"{len(await request.body())} bytes")
        except ClientDisconnect:
            seen.append("cut off")
        return Response(status_code=204)

    async def here(_request: Request) -> Response:
        return Response(status_code=204)

    app = Starlette(routes=[Route("/take", take, methods=["POST"]), Route("/here", here)])
    context = tls.context if tls else None
    listener = Listener(app, "127.0.0.1", 0, tls=context, request_within=within, most=most)
    listener.start()
    try:
        yield listener.port, seen
    finally:
        await listener.stop()


async def ended(port: int, start: bytes, trickle: bytes) -> tuple[float, bytes]:
    """In how many seconds a connection is ended that sends the one and then byte by byte the other; and its answer.

    It must end before all is sent: fails where the server waits for the last byte.
    """
    began = monotonic()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    async with closed(writer), asyncio.timeout(60):
        writer.write(start)
        reading = asyncio.ensure_future(reader.read())
        for byte in trickle:
            if reading.done() or writer.is_closing():
                break
            writer.write(bytes([byte]))
            await asyncio.sleep(0.05)
        else:
            assert not trickle, "the connection outlasts all that was sent"
        await asyncio.wait([reading])
        return monotonic() - began, b"" if reading.exception() else reading.result()


@pytest.mark.parametrize(
    ("start", "trickle"),
    [
        (b"", b""),
        (b"", b"x" * 400),
        (b"GET /here HTTP/1.1\r\n", b"x-filling: " + b"x" * 400),
        (HEAD.replace(b"40", b"401"), b"x" * 400),
        (b"POST /take HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n", b"1\r\nx\r\n" * 80),
    ],
    ids=["nothing", "a line", "headers", "a body", "chunks"],
)
async def test_a_request_that_does_not_arrive_in_time_is_closed(start: bytes, trickle: bytes) -> None:
    """Even if bytes of it keep arriving."""
    async with listening() as (port, seen):
        took, answer = await ended(port, start, trickle)
        assert took > 0.9 * WITHIN
        assert answer == b""
        await asyncio.sleep(0.05)
        assert seen == (["cut off"] if b"/take" in start else [])


async def test_a_slow_request_that_arrives_in_time_is_answered() -> None:
    """And so are further ones on the same connection, each with its own timeout."""
    async with listening(within=2.0) as (port, seen):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        async with closed(writer), asyncio.timeout(60):
            for _ in range(3):
                for part in (HEAD, b"x" * 20, b"x" * 20):
                    writer.write(part)
                    await asyncio.sleep(0.25)
                assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 204")
        assert seen == ["40 bytes"] * 3


async def test_an_idle_http_connection_is_closed() -> None:
    """After a response too, if no further request arrives; pipelined ones are all answered."""
    async with listening() as (port, _):
        took, answer = await ended(port, GET * 3, b"")
        assert answer.count(b"HTTP/1.1 204") == 3
        assert took > 0.9 * WITHIN


async def test_a_new_caller_replaces_the_one_that_has_been_silent_for_longest() -> None:
    """Above the limit on connections."""
    async with listening(most=20, within=60) as (port, _):
        silent = [await asyncio.open_connection("127.0.0.1", port) for _ in range(20)]
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        async with closed(writer), asyncio.timeout(30):
            writer.write(GET)
            assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 204")
            assert await silent[0][0].read() == b""
        for _, each in silent:
            each.transport.abort()


async def test_a_missing_handshake_times_out(tmp_path: Path) -> None:
    """Over TLS the same timeout applies; a client that does shake hands is answered."""
    ca, files = authority(), files_in(tmp_path)
    files.hold(issued(ca))
    async with listening(tls=Certificates(files.certificate, files.key, structlog.get_logger())) as (port, _):
        for start in (b"", b"\x16\x03\x01"):
            took, _ = await ended(port, start, b"")
            assert took > 0.9 * WITHIN
        context = ssl.create_default_context(cadata=ca.pem.decode())
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
        async with closed(writer), asyncio.timeout(30):
            writer.write(GET)
            assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 204")


async def test_other_requests_are_answered_meanwhile(server: Running) -> None:
    """On the real server: a hundred slow clients, and a request at the same time, which has 10 seconds."""
    assert REQUEST_SECONDS == 10
    port = server.server.http_port
    slow = [await asyncio.open_connection("127.0.0.1", port) for _ in range(100)]
    for _, writer in slow:
        writer.write(b"POST /webhooks/hub HTTP/1.1\r\nhost: x\r\ncontent-length: 99\r\n\r\nx")
    assert (await sent(port, Post("nobody", []))).status == 404
    assert not any(reader.at_eof() for reader, _ in slow)
    for _, writer in slow:
        writer.transport.abort()

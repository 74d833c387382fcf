"""The client that sends webhooks, against servers of every kind."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from sandbox.posting import HttpPoster, Unreachable


@asynccontextmanager
async def answering(*answers: bytes, close: bool = False) -> AsyncIterator[tuple[str, list[bytes]]]:
    """A server that gives these responses in turn, whatever the request, and the list of its requests.

    Each connection starts with an item of b"" in the list.
    """
    asked: list[bytes] = []
    left = list(answers)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(b"")
        while left and (head := await _head(reader)):
            asked.append(head + await reader.readexactly(4))
            writer.write(left.pop(0))
            if close:
                break
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/hook?a=b", asked


async def _head(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return b""


@pytest.fixture
async def posts() -> AsyncIterator[HttpPoster]:
    opened = HttpPoster(timeout=5)
    yield opened
    opened.close()


@pytest.mark.parametrize(
    ("answer", "status", "connections"),
    [
        (b"HTTP/1.1 204 No Content\r\n\r\n", 204, 1),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", 200, 1),
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 202 Accepted\r\ncontent-length: 0\r\n\r\n", 202, 1),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 200, 2),
        (b"HTTP/1.1 500 No\r\nConnection: close\r\ncontent-length: 0\r\n\r\n", 500, 2),
        (b"HTTP/1.0 200 OK\r\ncontent-length: 0\r\n\r\n", 200, 2),
        (b"HTTP/1.1 200\r\n\r\n", 200, 2),
    ],
)
async def test_the_status_is_read_and_the_connection_reused_if_possible(
    posts: HttpPoster, answer: bytes, status: int, connections: int
) -> None:
    """Two posts need one connection, unless the end of the first response is unknown or is the connection's."""
    async with answering(answer, answer) as (url, asked):
        for _ in range(2):
            assert await posts.post(url, {"x-a": "b"}, b"body") == status
    assert (asked.count(b""), len(asked)) == (connections, connections + 2)
    head, _, body = asked[1].partition(b"\r\n\r\n")
    host = url.removeprefix("http://").partition("/")[0].encode()
    lines = [b"POST /hook?a=b HTTP/1.1", b"host: " + host, b"x-a: b", b"content-length: 4"]
    assert (head.split(b"\r\n"), body) == (lines, b"body")


async def test_a_connection_that_was_closed_meanwhile_is_no_failure(posts: HttpPoster) -> None:
    """The post uses a new one."""
    good = b"HTTP/1.1 204 No Content\r\n\r\n"
    async with answering(good, good, close=True) as (url, asked):
        for _ in range(2):
            assert await posts.post(url, {}, b"body") == 204
    assert asked.count(b"") == 2


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"nonsense\r\n\r\n",
        b"HTTP/1.1 2x0 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 10_000,
        b"HTTP/1.1 200",
    ],
)
async def test_an_invalid_response_is_reported(posts: HttpPoster, answer: bytes) -> None:
    """By the error's type alone."""
    async with answering(answer, close=True) as (url, _):
        with pytest.raises(Unreachable, match=r"^\w+$"):
            await posts.post(url, {}, b"body")


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/", "https://127.0.0.1:1/", "http://no-such-host.invalid/"])
async def test_an_unused_address_is_unreachable(posts: HttpPoster, url: str) -> None:
    """And so is a name that does not exist."""
    with pytest.raises(Unreachable):
        await posts.post(url, {}, b"body")


async def test_a_missing_response_times_out() -> None:
    """After the timeout of an exchange."""
    posts = HttpPoster(timeout=0.1)
    release = asyncio.Event()

    async def dawdle(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await release.wait()
        writer.close()

    async with await asyncio.start_server(dawdle, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(Unreachable, match="TimeoutError"):
            await posts.post(f"http://127.0.0.1:{port}/", {}, b"body")
        release.set()

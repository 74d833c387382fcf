"""Answers and bodies on the HTTP side that go on for as long as they like, beside those that must end."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from server.frame.http import stay_open, take_body
from server.process.descriptors import Descriptors
from server.process.http import connection
from server.process.http.listener import Listener

ANSWER_SECONDS = 0.5


@asynccontextmanager
async def listening(monkeypatch: pytest.MonkeyPatch, **options: Any) -> AsyncIterator[str]:
    """The URL of an HTTP side that gives an answer half a second; some of its routes answer or read for longer."""
    monkeypatch.setattr(connection, "_ANSWER_SECONDS", ANSWER_SECONDS)

    async def pieces() -> AsyncIterator[str]:
        for _ in range(3):
            yield "piece\n"
            await asyncio.sleep(ANSWER_SECONDS)

    async def bounded(_request: Request) -> Response:
        return StreamingResponse(pieces())

    async def lasting(request: Request) -> Response:
        return StreamingResponse(pieces()) if stay_open(request) else Response(status_code=503)

    async def counted(request: Request) -> Response:
        return Response(str(sum([len(piece) async for piece in request.stream()])))

    async def taken(request: Request) -> Response:
        return await counted(request) if take_body(request) else Response(status_code=503)

    async def here(_request: Request) -> Response:
        return Response(status_code=204)

    routes = [
        Route(f"/{each.__name__}", each, methods=["GET", "PUT"]) for each in (bounded, lasting, counted, taken, here)
    ]
    listener = Listener(Starlette(routes=routes), "127.0.0.1", 0, **options)
    listener.start()
    try:
        yield f"http://127.0.0.1:{listener.port}"
    finally:
        await listener.stop()


async def test_an_answer_that_may_stay_open_does(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where another that takes as long is cut off; the next request on its connection is bounded as ever."""
    async with listening(monkeypatch) as url, httpx.AsyncClient(base_url=url, timeout=30) as client:
        assert (await client.get("/lasting")).text == "piece\n" * 3
        with pytest.raises(httpx.RemoteProtocolError):
            await client.get("/bounded")


async def test_answers_that_stay_open_keep_nobody_else_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """They are bounded by themselves, and do not count among the connections that must make room."""
    descriptors = Descriptors()
    descriptors.limit = 16  # two for each kind
    async with (
        listening(monkeypatch, descriptors=descriptors, most=2) as url,
        httpx.AsyncClient(base_url=url, timeout=30) as client,
        client.stream("GET", "/lasting") as one,
        client.stream("GET", "/lasting") as two,
    ):
        assert [one.status_code, two.status_code] == [200, 200]
        assert (await client.get("/lasting")).status_code == 503
        assert (await client.get("/here")).status_code == 204
        assert (await one.aread(), await two.aread()) == (b"piece\n" * 3, b"piece\n" * 3)
        assert (await client.get("/lasting")).status_code == 200


async def slowly(pieces: int, seconds: float) -> AsyncIterator[bytes]:
    for _ in range(pieces):
        yield bytes(256 * 1024)
        await asyncio.sleep(seconds)


@pytest.mark.parametrize(("pieces", "seconds"), [(4, 0.4), (40, 0.0)])
async def test_a_body_that_is_taken_may_be_long_and_take_long(
    monkeypatch: pytest.MonkeyPatch, pieces: int, seconds: float
) -> None:
    """Where another one is cut off, or refused; the next request on its connection is bounded as ever."""
    async with (
        listening(monkeypatch, request_within=1.0) as url,
        httpx.AsyncClient(base_url=url, timeout=30) as client,
    ):
        assert (await client.put("/taken", content=slowly(pieces, seconds))).text == str(pieces * 256 * 1024)
        try:
            refused = (await client.put("/counted", content=slowly(pieces, seconds))).status_code == 413
        except (httpx.RemoteProtocolError, httpx.WriteError, httpx.ReadError):
            refused = True
        assert refused

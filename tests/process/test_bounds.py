"""The limits of HTTP requests, and how long they delay other callers."""

import asyncio
from collections.abc import AsyncIterator
from time import process_time
from typing import Any

import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from server.frame.http import Bodies
from server.webhooks.rules.sources import Source
from storage.database import Database
from tests.fixtures.keys import MASTER_KEYS
from tests.fixtures.pgbouncer import POOLER
from tests.fixtures.postgres import migrated
from tests.fixtures.servers import Running, running
from tests.process.attacks import ATTACKS, CHUNKED, SOURCE, head, send

REFUSED = b"HTTP/1.1 400 "
SIGNED_BY_NOBODY = b"the request is not signed as it should be"


@pytest.fixture(scope="module")
async def hub(postgres: str, request: pytest.FixtureRequest) -> AsyncIterator[Running]:
    """A server that accepts webhooks from one source, shared by the tests here, none of which leaves anything in it."""
    with migrated(postgres, request) as url:
        database = Database(url, audit_key=MASTER_KEYS.audit_key, pool_size=5, pooler=POOLER)
        async with running(database, sources=[Source(SOURCE, "github", ("secret",))]) as opened:
            yield opened
        await database.close()


async def longest_wait(server: Running, attack: "asyncio.Task[bytes]") -> float:
    """How many seconds of work the slowest Health/Check waited for while an attack went on.

    Of this process, in which all of it runs: what others do on the machine is not counted.
    """
    stub: Any = health_pb2_grpc.HealthStub(server.channel)
    longest = 0.0
    while not attack.done():
        began = process_time()
        await stub.Check(health_pb2.HealthCheckRequest(service="liveness"))
        longest = max(longest, process_time() - began)
        await asyncio.sleep(0.01)
    return longest


_LONG = {"pipelined_unread_by_many", "scrapes"}
"""The attacks that keep a core busy for seconds."""


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[pytest.mark.slow] if name in _LONG else [])
        for name in ATTACKS
        if name != "many_bodies"
    ],
)
async def test_attacks_do_not_delay_other_callers(hub: Running, name: str) -> None:
    """On an idle machine they wait some hundredths of a second; before there were limits, two to ten seconds."""
    attack = asyncio.create_task(ATTACKS[name](hub.server.http_port))
    assert await longest_wait(hub, attack) < 1.0
    assert (await send(hub.server.http_port, head("connection: close", target="/healthz", method="GET")))[
        9:12
    ] == b"200"


@pytest.mark.parametrize(
    "wire",
    [
        head(CHUNKED) + b"1\r\nx\r\n" * 1_000,
        head(CHUNKED) + b"0\r\n" + b"a:\r\n" * 200 + b"\r\n",
        head(CHUNKED) + b"1\r\nx\r\n0;e=1\r\n" + b"a:\r\n" * 200 + b"\r\n",
        head()[:-2] + b"a:\r\n" * 200 + b"\r\n",
        head()[:-2] + b"a: b\r\n" + b" c\r\n" * 200 + b"\r\n",
        head()[:-2] + b"a: " + b"x" * 20_000 + b"\r\n\r\n",
        head("content-length: 2", CHUNKED) + b"0\r\n\r\n",
        head("content-length: 2", CHUNKED) + b"{}",
        head(CHUNKED).replace(b"HTTP/1.1", b"HTTP/1.0") + b"0\r\n\r\n",
        head("content-length: 2", "content-length: 3") + b"{}",
        head("transfer-encoding: gzip, chunked") + b"0\r\n\r\n",
        head("content-length: 2").replace(b"HTTP/1.1", b"HTTP/2.0") + b"{}",
    ],
    ids=[
        *("tiny chunks", "many trailers", "many trailers of a body", "many headers"),
        *("a folded header", "a long header", "a length beside chunks", "chunks beside a length", "chunks in HTTP/1.0"),
        *("two lengths", "an encoding beside chunks", "another version"),
    ],
)
async def test_a_forbidden_request_ends_its_connection(hub: Running, wire: bytes) -> None:
    """With 400 or 501, even if another request follows: other parsers may disagree where that begins."""
    answer = await send(hub.server.http_port, wire + head(target="/healthz", method="GET"))
    assert answer[:12] in (b"HTTP/1.1 400", b"HTTP/1.1 501")
    assert answer.count(b"HTTP/1.1 ") == 1


@pytest.mark.parametrize(
    "wire",
    [
        head(CHUNKED, "connection: close") + b"1\r\nx\r\n" * 400 + b"0\r\n\r\n",
        head(CHUNKED, "connection: close") + (b"40\r\n" + b"x" * 64 + b"\r\n") * 4_000 + b"0\r\n\r\n",
        head(CHUNKED, "connection: close")
        + b"40;e=1\r\n"
        + b"\r\n0\r\na:\r\n" * 7
        + b"x" * 1
        + b"\r\n0\r\na: b\r\n\r\n",
        head("content-length: 262144", "connection: close") + b"\r\n0\r\n" + b"\n" * 262_139,
        head("content-length: 2", "connection: close", *(f"a{number}: b" for number in range(90))) + b"{}",
    ],
    ids=["some tiny chunks", "many small chunks", "a chunk that looks like trailers", "lines", "headers"],
)
async def test_valid_requests_are_read(hub: Running, wire: bytes) -> None:
    """To the end: the response is about their signature."""
    answer = await send(hub.server.http_port, wire)
    assert answer.startswith(REFUSED)
    assert answer.endswith(SIGNED_BY_NOBODY)


async def test_a_body_is_requested_only_if_it_will_be_read(hub: Running) -> None:
    """Expect: 100-continue is answered by 100, or by the refusal if the request is refused without its body."""
    port = hub.server.http_port
    asked = ("expect: 100-continue", "connection: close")
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(head("content-length: 2", *asked))
    assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 100 ")
    writer.write(b"{}")
    assert (await reader.read()).startswith(REFUSED)
    writer.close()
    assert (await send(port, head("content-length: 999999", *asked))).startswith(b"HTTP/1.1 413 ")
    assert (await send(port, head("content-length: 2", *asked, target="/webhooks/x"))).startswith(b"HTTP/1.1 404 ")


@pytest.mark.parametrize("target", ["http://x/healthz", "HTTPS://x:8443/healthz?a=b", "http://user@[::1]/healthz"])
async def test_a_full_url_may_be_the_target(hub: Running, target: str) -> None:
    """As proxies write it (RFC 9112, 3.2.2); its host is ignored."""
    answer = await send(hub.server.http_port, head("connection: close", target=target, method="GET"))
    assert answer.startswith(b"HTTP/1.1 200 ")
    taken = await send(
        hub.server.http_port,
        head("connection: close", "content-length: 2", target=f"http://x/webhooks/{SOURCE}") + b"{}",
    )
    assert taken.endswith(SIGNED_BY_NOBODY)


@pytest.mark.parametrize(
    "target", ["/healthz/", "/readyz/", "/metrics/", "/.well-known/jwks.json/", "//evil.example/healthz/"]
)
async def test_there_is_no_redirect_to_the_host_header(hub: Running, target: str) -> None:
    """A trailing slash makes another path: no redirect to the Host header's host, which a cache might store."""
    wire = f"GET {target} HTTP/1.1\r\nhost: evil.example\r\nx-forwarded-proto: https\r\nconnection: close\r\n\r\n"
    answer = await send(hub.server.http_port, wire.encode())
    assert answer.startswith(b"HTTP/1.1 404 ")
    assert b"evil.example" not in answer


async def test_pipelined_requests_are_answered_in_order_up_to_a_thousand(hub: Running) -> None:
    """Then the connection ends, after the last response."""
    answer = await send(hub.server.http_port, head(target="/healthz", method="GET") * 1_200)
    assert answer.count(b"HTTP/1.1 200 ") == 1_000


async def test_a_slow_body_is_replaced_by_a_new_one(hub: Running) -> None:
    """Above 32 of one source; the one that started first is told to send the whole body at once."""
    port = hub.server.http_port
    slow = [await asyncio.open_connection("127.0.0.1", port) for _ in range(33)]
    for _, writer in slow:
        writer.write(head("content-length: 2") + b"{")
        await asyncio.sleep(0.01)
    async with asyncio.timeout(60):
        assert (await slow[0][0].readuntil(b"\r\n")).startswith(b"HTTP/1.1 503 ")
    slow[32][1].write(b"}")
    assert (await slow[32][0].readuntil(b"\r\n")).startswith(REFUSED)
    for _, writer in slow:
        writer.transport.abort()


async def test_the_bodies_of_all_sources_together_are_bounded() -> None:
    """A source below its own limit is affected too, if all together have too many."""
    bodies, ended = Bodies(most=3, each=2), list[str]()

    async def reads(name: str) -> None:
        try:
            async with bodies.place(name[0]):
                await asyncio.sleep(60)
        except TimeoutError:
            ended.append(name)

    tasks = []
    for name in ("a1", "b1", "b2", "b3", "c1"):
        tasks.append(asyncio.create_task(reads(name)))
        await asyncio.sleep(0.01)
    assert ended == ["b1", "a1"]
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)

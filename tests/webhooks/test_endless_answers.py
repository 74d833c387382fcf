"""Endless responses, and unexpected errors: each is one failed attempt."""

import asyncio
import socket
import ssl
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from time import process_time
from typing import Any

import pytest

from server.webhooks.sender import Sender
from storage.database import Database
from storage.webhooks.records import DeliveryState
from tests.process.papers import Paper, authority, issued
from tests.webhooks import tls_floods
from tests.webhooks.outgoing import LOOPBACK, Outbox, listening, outbox_on, subscriber


class Unforeseen(Exception):
    """An error of a library that is in no list."""


async def test_an_attempt_is_counted_whatever_a_library_raises(database: Database) -> None:
    """The error's type is stored, and nothing of its text."""

    async def resolve(host: str, port: int) -> list[Any]:
        raise Unforeseen(f"hunter2 {host} {port}")

    sender = Sender(resolve, LOOPBACK)
    outbox = Outbox(database, sender)
    delivery = await outbox.attempt(await outbox.test_event(await outbox.endpoint("http://shop.example")))
    assert (delivery.attempt_count, delivery.error) == (1, "failed by Unforeseen")
    await sender.close()


INTERIM = b"HTTP/1.1 103\r\n\r\n"


@pytest.mark.parametrize(
    ("said", "error"),
    [
        (INTERIM * 400_000, "no valid HTTP"),
        ((INTERIM[:-2] + b"a:\r\n" * 20 + b"\r\n") * 50_000, "no valid HTTP"),
        (b"HTTP/1.1 200 OK\r\n" + b"a:\r\n" * 500_000, "no valid HTTP"),
        (b"HTTP/1.1 200 OK\r\na: " + b"a" * 5_000_000, "no valid HTTP"),
        (INTERIM * 3 + b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n" + b"1\r\nx\r\n" * 500_000, ""),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 9999\r\n\r\n" + b"\n" * 9_999, ""),
    ],
    ids=["interim answers", "their headers", "headers", "a long header", "tiny chunks", "many lines"],
)
async def test_an_endless_response_is_read_no_further_than_necessary(outbox: Outbox, said: bytes, error: str) -> None:
    """Once its status has arrived it counts; before that, the attempt has failed."""
    sent = 0

    async def go_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        await reader.readuntil(b"\r\n\r\n")
        with suppress(ConnectionError):
            for begin in range(0, len(said), 16_384):
                writer.write(said[begin : begin + 16_384])
                sent = begin
                await writer.drain()
        writer.close()

    async with listening(go_on) as port:
        began = process_time()
        delivery = await outbox.attempt(await outbox.test_event(await outbox.endpoint(f"http://127.0.0.1:{port}")))
        assert delivery.error == error
        assert process_time() - began < 2.0
    assert sent < len(said)


async def test_each_response_on_a_connection_has_its_own_limit(outbox: Outbox) -> None:
    """Many short ones are allowed like one."""
    said = b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n" + b"a: b\r\n" * 60 + b"\r\n\n\n\n"
    async with subscriber(said) as shop:
        endpoint = await outbox.endpoint(shop.url)
        for _ in range(8):
            assert (await outbox.attempt(await outbox.test_event(endpoint))).state is DeliveryState.SUCCEEDED


@pytest.mark.parametrize("flood", [tls_floods.tickets, tls_floods.new_keys])
async def test_tls_messages_count_too(
    database: Database, tmp_path: Path, flood: Callable[[socket.socket, Paper, Path], int]
) -> None:
    """HTTP never sees them, and OpenSSL accepts any number, each at some cost: they took a core for 20 seconds."""
    ca = authority()
    trusting = ssl.create_default_context(cadata=ca.pem.decode())

    def receive(listener: socket.socket) -> int:
        connection, _ = listener.accept()
        with connection:
            connection.settimeout(20)
            return flood(connection, issued(ca), tmp_path)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        receiving = asyncio.create_task(asyncio.to_thread(receive, listener))
        async with outbox_on(database, tls=trusting) as outbox:
            endpoint = await outbox.endpoint(f"https://localhost:{listener.getsockname()[1]}")
            delivery = await outbox.attempt(await outbox.test_event(endpoint))
        assert (delivery.attempt_count, delivery.error) == (1, "no valid HTTP")
        assert await receiving < tls_floods.MAX_BYTES / 2


async def test_a_receiver_that_is_silent_during_tls_times_out(database: Database, tmp_path: Path) -> None:
    """It is reported as a timeout, not as a TLS failure."""
    ca = authority()
    paper = issued(ca)
    (tmp_path / "both.pem").write_bytes(paper.pem + paper.key_pem)
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    serving.load_cert_chain(tmp_path / "both.pem")
    trusting = ssl.create_default_context(cadata=ca.pem.decode())

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(-1)
        writer.close()

    async with listening(silent, tls=serving) as port, outbox_on(database, tls=trusting, limit=3.0) as outbox:
        delivery = await outbox.attempt(await outbox.test_event(await outbox.endpoint(f"https://localhost:{port}")))
        assert delivery.error == "timed out"

"""Answers that have no end, and errors that nobody foresaw: each is one attempt, and no more."""

import asyncio
from contextlib import suppress
from time import process_time
from typing import Any

import pytest

from server.webhooks.sender import Sender
from storage.database import Database
from storage.webhooks.records import DeliveryState
from tests.webhooks.outgoing import LOOPBACK, Outbox, listening, subscriber


class Unforeseen(Exception):
    """Of a library, which no list of errors knows."""


async def test_an_attempt_is_counted_whatever_a_library_raises(database: Database) -> None:
    """Its kind is told, and nothing of its text."""

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
async def test_an_answer_without_an_end_is_read_no_further_than_it_must(
    outbox: Outbox, said: bytes, error: str
) -> None:
    """Once its status has come it counts; before, the attempt has failed."""
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


async def test_each_answer_on_a_connection_has_a_measure_of_its_own(outbox: Outbox) -> None:
    """Many short ones are as good as one."""
    said = b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n" + b"a: b\r\n" * 60 + b"\r\n\n\n\n"
    async with subscriber(said) as shop:
        endpoint = await outbox.endpoint(shop.url)
        for _ in range(8):
            assert (await outbox.attempt(await outbox.test_event(endpoint))).state is DeliveryState.SUCCEEDED

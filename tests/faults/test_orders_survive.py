"""Faults under load: each call is answered, refused or unknown, and the stored data is consistent."""

import asyncio
import random
from urllib.parse import urlsplit

import pytest

from tests.faults.cluster import Cluster
from tests.faults.load import Book, any_order, crowd, goods, until
from tests.fixtures.servers import Api, Running
from tests.invariants import assert_kept, count_orders


@pytest.fixture
async def shop(service: Api) -> Api:
    """A caller with products to sell."""
    await goods(service)
    return service


async def test_terminated_connections_lose_nothing(shop: Api, cluster: Cluster, database_url: str) -> None:
    """Repeated pg_terminate_backend: afterwards each request places exactly one order, even those answered before."""
    book = Book()
    name = urlsplit(database_url).path.removeprefix("/")
    ended = 0
    async with crowd(shop, book):
        for _ in range(15):
            await asyncio.sleep(0.08)
            ended += cluster.terminate_connections(name)
    assert ended > 0
    assert book.ok
    assert_kept(database_url, book.ok.values())
    find_answer = await book.repeat(shop)
    assert book.ok.items() <= find_answer.items()
    assert_kept(database_url, find_answer.values())
    assert count_orders(database_url) == len(book.asked)


async def test_a_database_that_is_stopped_under_load_loses_nothing(
    shop: Api, cluster: Cluster, database_url: str
) -> None:
    """The callers continue; orders that were answered before exist when the database is back."""
    book = Book()
    async with crowd(shop, book, callers=8):
        await until(lambda: len(book.ok) > 50)
        async with cluster.stopped():
            await until(lambda: len(book.unknown) > 50)
        acknowledged = len(book.ok)
        await until(lambda: len(book.ok) > acknowledged + 50)
    assert_kept(database_url, book.ok.values())
    find_answer = await book.repeat(shop)
    assert book.ok.items() <= find_answer.items()
    assert_kept(database_url, find_answer.values())


async def test_callers_that_disconnect_leave_nothing_half_written(
    server: Running, shop: Api, database_url: str
) -> None:
    """Calls are cancelled at random moments, and each order exists completely or not at all."""
    book = Book()
    chance = random.Random(7)  # noqa: S311 - not for secrets

    async def leave(after: float) -> None:
        call = asyncio.ensure_future(book.place(shop, any_order()))
        await asyncio.wait([call], timeout=after)
        call.cancel()
        await asyncio.wait([call])

    turn = 0
    while turn < 20 or (not book.ok and turn < 200):  # later and later, until some are answered by a slow machine, too
        turn += 1
        await asyncio.gather(*(leave(chance.uniform(0, 0.01 * turn)) for _ in range(10)))
    async with asyncio.timeout(60):
        await server.application.in_flight.idle()
    assert book.ok
    assert book.unknown
    assert_kept(database_url, book.ok.values())
    find_answer = await book.repeat(shop)
    assert book.ok.items() <= find_answer.items()
    assert_kept(database_url, find_answer.values())
    assert count_orders(database_url) == len(book.asked)

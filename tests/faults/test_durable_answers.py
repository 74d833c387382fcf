"""A primary with a synchronous standby: every answered change survives the loss of either."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import psycopg
import pytest

from backroom.commerce.v1 import order_service_pb2
from storage.database import Database
from storage.url import sibling
from tests.commerce.goods import ask, stocked
from tests.faults.load import Book
from tests.faults.replication import DATABASE, Pair, pair, synchronous, waiting
from tests.fixtures.keys import MASTER_KEYS
from tests.fixtures.servers import Api, Running, running
from tests.fixtures.trading import eventually
from tests.identity.people import registering
from tests.invariants import assert_whole

Founded = Callable[[], AbstractAsyncContextManager[tuple[Pair, Running]]]
ORDERS = "SELECT count(*) FROM commerce.orders"
CROWD = 8


@asynccontextmanager
async def serving(url: str) -> AsyncIterator[Running]:
    database = Database(sibling(url, DATABASE), audit_key=MASTER_KEYS.audit_key)
    try:
        async with running(database) as server:
            yield server
    finally:
        await database.close()


@pytest.fixture
def replicated(migrated_primary: Path) -> Iterator[Pair]:
    with pair(migrated_primary) as made:
        made.replicate()
        yield made


@pytest.fixture
async def server(replicated: Pair) -> AsyncIterator[Running]:
    async with serving(replicated.primary.url) as opened:
        yield opened


@pytest.fixture
async def service(server: Running) -> Api:
    return await server.sign_in("service")


async def waits(pair: Pair, count: int = 1) -> list[int]:
    """The sessions whose commits wait for the standby, once there are this many."""

    async def look() -> list[int]:
        return await asyncio.to_thread(waiting, pair.primary.url)

    return await eventually(look, lambda found: len(found) >= count, within=60)


async def held_up(pair: Pair, call: "asyncio.Future[Any]") -> None:
    """Returns once the call waits for the standby; fails if it is answered instead."""
    waiting = asyncio.create_task(waits(pair))
    await asyncio.wait({waiting, call}, return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    assert not call.done(), "it was answered while no standby had it"


async def code_of(call: Awaitable[Any]) -> grpc.StatusCode:
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await call
    return raised.value.code()


def rows(pair: Pair, query: Any = ORDERS) -> int:
    with psycopg.connect(sibling(pair.primary.url, DATABASE)) as connection:
        found = connection.execute(query).fetchone()
    return int(found[0]) if found else 0


def end(pair: Pair, sessions: list[int], how: Any = "SELECT pg_terminate_backend(%s)") -> None:
    for session in sessions:
        pair.primary.ask(how, session)


async def test_a_repetition_waits_for_the_standby_as_the_first_answer_does(replicated: Pair, service: Api) -> None:
    """The row of a terminated session exists, although no standby has it."""
    await stocked(service, "TEA", 10)
    request = ask(("TEA", 1))
    with replicated.standby.frozen():
        first = asyncio.ensure_future(service.orders.PlaceOrder(request))
        end(replicated, await waits(replicated))
        assert await code_of(first) is grpc.StatusCode.UNAVAILABLE
        assert rows(replicated) == 1
        again = asyncio.ensure_future(service.orders.PlaceOrder(request))
        await held_up(replicated, again)
    answered = await again
    assert answered == await service.orders.PlaceOrder(request)
    assert rows(replicated) == 1


async def test_a_repetition_waits_after_a_crash_of_the_primary_too(replicated: Pair, service: Api) -> None:
    """Its log's content is there after the restart, and no longer waits."""
    await stocked(service, "TEA", 10)
    request = ask(("TEA", 1))
    with replicated.standby.frozen():
        first = asyncio.ensure_future(service.orders.PlaceOrder(request))
        await waits(replicated)
        replicated.primary.crash()
        assert await code_of(first) is grpc.StatusCode.UNAVAILABLE
        replicated.primary.start()
        assert rows(replicated) == 1
        again = asyncio.create_task(knocking(service, request))
        await held_up(replicated, again)
    assert (await again).order.order_id
    assert rows(replicated) == 1


async def knocking(service: Api, request: order_service_pb2.PlaceOrderRequest) -> Any:
    """Retries until there is an answer: the pool may have connections to a server that is gone."""
    while True:
        try:
            return await service.orders.PlaceOrder(request)
        except grpc.aio.AioRpcError as error:
            assert error.code() is grpc.StatusCode.UNAVAILABLE, error  # noqa: PT017
        await asyncio.sleep(0.05)


async def test_every_answered_change_survives_a_promotion(replicated: Pair, service: Api) -> None:
    """Callers repeat their orders while no standby has them; each order answered OK is on the new primary."""
    await stocked(service, "TEA", 100)
    book = Book()
    await asyncio.gather(*(book.place(service, ask(("TEA", 1))) for _ in range(CROWD)))
    assert len(book.ok) == CROWD
    replicated.standby.crash()
    placing = [asyncio.create_task(book.place(service, ask(("TEA", 1)))) for _ in range(CROWD)]
    while not all(call.done() for call in placing):
        end(replicated, await asyncio.to_thread(waiting, replicated.primary.url))
        await asyncio.sleep(0.05)
    assert rows(replicated) > CROWD
    repeating = [asyncio.ensure_future(service.orders.PlaceOrder(each)) for each in book.unknown.values()]
    await asyncio.wait(repeating, timeout=3)
    replicated.primary.crash()
    for request, answer in zip(book.unknown, await asyncio.gather(*repeating, return_exceptions=True), strict=True):
        if not isinstance(answer, BaseException):
            book.ok[request] = answer.order.order_id
    replicated.standby.start()
    replicated.standby.promote()
    async with serving(replicated.standby.url) as promoted:
        caller = Api(promoted.channel, service.token)
        stands = await book.repeat(caller)
        assert {request: stands[request] for request in book.ok} == book.ok
        assert len(set(stands.values())) == 2 * CROWD
        await assert_whole(promoted.database)


@pytest.mark.parametrize("repeated", [False, True], ids=["first", "repeated"])
async def test_a_commit_whose_wait_is_cancelled_is_not_answered_with_ok(
    replicated: Pair, service: Api, repeated: bool
) -> None:
    """PostgreSQL reports it as done, with a warning: the caller learns that the outcome is unknown, and retries."""
    await stocked(service, "TEA", 10)
    request = ask(("TEA", 1))
    with replicated.standby.frozen():
        if repeated:
            first = asyncio.ensure_future(service.orders.PlaceOrder(request))
            end(replicated, await waits(replicated))
            assert await code_of(first) is grpc.StatusCode.UNAVAILABLE
        call = asyncio.ensure_future(service.orders.PlaceOrder(request))
        end(replicated, await waits(replicated), "SELECT pg_cancel_backend(%s)")
        assert await code_of(call) is grpc.StatusCode.UNAVAILABLE
        assert rows(replicated) == 1
    assert (await service.orders.PlaceOrder(request)).order.order_id
    assert rows(replicated) == 1


async def test_an_answer_that_is_looked_up_before_anything_else_waits_too(replicated: Pair, server: Running) -> None:
    """A registration is looked up separately, before anything is counted; cancelled, it is not answered."""
    request, api = registering("ada@example.com"), server.anonymous
    with replicated.standby.frozen():
        synchronous(replicated.primary.url, "")
        first = await api.identity.Register(request)
        synchronous(replicated.primary.url)
        again = asyncio.ensure_future(api.identity.Register(request))
        await held_up(replicated, again)
        end(replicated, await waits(replicated), "SELECT pg_cancel_backend(%s)")
        assert await code_of(again) is grpc.StatusCode.UNAVAILABLE
    assert await api.identity.Register(request) == first

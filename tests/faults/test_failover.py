"""The primary dies or hangs and its standby is promoted: writes go on within seconds, and readiness tells the truth."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Any
from uuid import uuid4

import grpc
import pytest

import migrations
from backroom.commerce.v1 import order_service_pb2
from storage.connector import TimeLimits
from storage.database import Database
from storage.url import parameters
from tests.commerce.goods import ask, created, stocked
from tests.contract.probes import becomes, checked
from tests.faults.replication import Pair, pair, synchronous
from tests.fixtures.keys import MASTER_KEYS
from tests.fixtures.servers import Api, Running, running

DEAD_SECONDS, HUNG_SECONDS, TOLD_SECONDS = 3.0, 10.0, 5.0
"""How soon after a promotion there are changes again, and how soon readiness follows."""
BUSY = 2.0
"""How much longer than on an idle machine these tests let it take, on which others run too."""


@pytest.fixture
def nodes() -> Iterator[Pair]:
    with pair() as made:
        migrations.upgrade(made.primary.url)
        made.replicate()
        yield made


def both(nodes: Pair) -> str:
    """The URL that names both hosts, the first primary first."""
    hosts = ",".join(parameters(node.url)["host"] for node in (nodes.primary, nodes.standby))
    return f"postgresql://postgres@/postgres?host={hosts}&port=5432,5432&target_session_attrs=read-write"


@pytest.fixture
async def serving(nodes: Pair) -> AsyncIterator[Running]:
    database = Database(both(nodes), audit_key=MASTER_KEYS.audit_key)
    async with AsyncExitStack() as stack:
        stack.push_async_callback(database.close)
        yield await stack.enter_async_context(running(database, jobs_on=both(nodes)))


class Track:
    """When each kind of call succeeded, over and over."""

    def __init__(self) -> None:
        self.succeeded: dict[str, list[float]] = {}

    async def follow(self, kind: str, call: Callable[[], Awaitable[Any]]) -> None:
        times = self.succeeded.setdefault(kind, [])
        while True:
            began = time.monotonic()
            with suppress(grpc.aio.AioRpcError):
                await call()
                times.append(began)
            await asyncio.sleep(0.05)

    def again(self, kind: str, since: float) -> float | None:
        """How long after a moment the first call began that succeeded; None where none has yet."""
        return next((began - since for began in self.succeeded[kind] if began > since), None)


@asynccontextmanager
async def tracked(serving: Running, api: Api, order_id: str) -> AsyncIterator[Track]:
    """Callers of every kind, until the block ends."""
    track = Track()
    get = order_service_pb2.GetOrderRequest(order_id=order_id)
    calls: dict[str, Callable[[], Awaitable[Any]]] = {
        "PlaceOrder": lambda: api.orders.PlaceOrder(ask(("TEA", 1)), timeout=20),
        "CreateProduct": lambda: created(api, f"NEW-{uuid4()}"),
        "GetOrder": lambda: api.orders.GetOrder(get, timeout=20),
    }
    tasks = [asyncio.create_task(track.follow(kind, call)) for kind, call in calls.items()]
    try:
        yield track
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def ready_to_fail(serving: Running) -> tuple[Api, str]:
    await becomes(serving.channel, "readiness", "SERVING", within=30)
    api = await serving.sign_in("service")
    await stocked(api, "TEA", 1_000_000)
    return api, (await api.orders.PlaceOrder(ask(("TEA", 1)))).order.order_id


async def every_kind(track: Track, since: float, within: float) -> dict[str, float]:
    """How long each kind took to succeed again; raises TimeoutError."""
    async with asyncio.timeout(within):
        while None in (found := {kind: track.again(kind, since) for kind in track.succeeded}).values():
            await asyncio.sleep(0.05)
    return {kind: round(seconds, 2) for kind, seconds in found.items() if seconds is not None}


async def test_after_a_hung_primary_changes_go_on_by_the_one_that_was_promoted(nodes: Pair, serving: Running) -> None:
    """Its kernel answers and it does not: batches, changes and readings that wait on it are given up."""
    api, order_id = await ready_to_fail(serving)
    async with tracked(serving, api, order_id) as track:
        await asyncio.sleep(1)
        with nodes.primary.frozen():
            hung = time.monotonic()
            await becomes(serving.channel, "readiness", "NOT_SERVING", within=TOLD_SECONDS * BUSY)
            told = time.monotonic() - hung
            assert await checked(serving.channel, "liveness") == "SERVING"
            await asyncio.to_thread(synchronous, nodes.standby.url, "") if False else None
            await asyncio.to_thread(nodes.standby.promote)
            promoted = time.monotonic()
            found = await every_kind(track, promoted, HUNG_SECONDS * BUSY)
            await becomes(serving.channel, "readiness", "SERVING", within=TOLD_SECONDS * BUSY)
            ready = time.monotonic() - promoted
            print("hung", round(told, 2), found, round(ready, 2))
    for line in serving.log:
        if line["level"] not in ("info", "debug"):
            print(line)

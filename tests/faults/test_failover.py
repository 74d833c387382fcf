"""The primary dies or hangs and its standby is promoted: changes succeed again soon, and readiness is accurate."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

import grpc
import pytest

from backroom.commerce.v1 import order_service_pb2
from storage.database import Database
from tests.commerce.goods import ask, created, stocked
from tests.contract.probes import becomes, checked
from tests.faults.replication import DATABASE, Pair, pair
from tests.fixtures.keys import MASTER_KEYS
from tests.fixtures.servers import Api, Running, refusal, running

DEAD_SECONDS, HUNG_SECONDS, TOLD_SECONDS = 3.0, 10.0, 5.0
"""How soon after a promotion changes succeed again, and how soon readiness follows, on an idle machine."""
BUSY = 3.0
"""The factor that these tests allow for, since the machine is busy with others."""
OURS = "SELECT wait_event FROM pg_stat_activity WHERE application_name LIKE 'backroom%%'"
"""A commit that waits for the standby cannot be ended by a client, and no client is connected to it any more."""
Note = Callable[[str, object], None]
"""Writes a figure into the tests' report."""
KINDS = ("PlaceOrder", "CreateProduct", "GetOrder", "WatchOrders")


@pytest.fixture
def nodes(migrated_primary: Path) -> Iterator[Pair]:
    with pair(migrated_primary) as made:
        made.replicate()
        yield made


@pytest.fixture
async def serving(nodes: Pair) -> AsyncIterator[Running]:
    """A server with both hosts in its URL and a worker."""
    url = nodes.url(DATABASE)
    database = Database(url, audit_key=MASTER_KEYS.audit_key)
    async with AsyncExitStack() as stack:
        stack.push_async_callback(database.close)
        yield await stack.enter_async_context(running(database, jobs_on=url))


class Track:
    """The start times of successful calls of each kind, and the changes of readiness."""

    def __init__(self, serving: Running) -> None:
        self._serving = serving
        self._succeeded: dict[str, list[float]] = {kind: [] for kind in KINDS}
        self.readiness: list[tuple[float, str]] = []
        self.orders: dict[str, set[str]] = {}
        """Those that each request_id was answered with."""

    async def call(self, kind: str, call: Callable[[], Awaitable[Any]]) -> None:
        times = self._succeeded[kind]
        while True:
            began = time.monotonic()
            with suppress(grpc.aio.AioRpcError):
                await call()
                times.append(began)
            await asyncio.sleep(0.05)

    async def place(self, api: Api) -> None:
        """Places one order, repeating its request until it is answered."""
        request = ask(("TEA", 1))
        answered = self.orders.setdefault(request.request_id, set())
        while not answered:
            with suppress(grpc.aio.AioRpcError):
                answered.add((await api.orders.PlaceOrder(request, timeout=20)).order.order_id)

    async def watch(self, api: Api) -> None:
        """Watches orders, reopening the watch when it ends, until one arrives."""
        async for change in api.orders.WatchOrders(order_service_pb2.WatchOrdersRequest(), timeout=None):
            if change.HasField("order"):
                return

    async def poll(self) -> None:
        while True:
            status = await checked(self._serving.channel, "readiness")
            if not self.readiness or self.readiness[-1][1] != status:
                self.readiness.append((time.monotonic(), status))
            await asyncio.sleep(0.05)

    def first(self, kind: str, since: float) -> float | None:
        """How many seconds after a moment the first successful call started; None if there is none yet."""
        return next((round(began - since, 2) for began in self._succeeded[kind] if began > since), None)

    async def all_again(self, since: float, within: float) -> dict[str, float | None]:
        """The same for each kind of call; raises TimeoutError if one does not succeed in time."""
        async with asyncio.timeout(within):
            while None in (found := {kind: self.first(kind, since) for kind in KINDS}).values():  # noqa: ASYNC110 - polled
                await asyncio.sleep(0.05)
        return found

    def changes(self, since: float) -> list[tuple[float, str]]:
        """The changes of readiness, by seconds after a moment."""
        return [(round(at - since, 2), status) for at, status in self.readiness]


@asynccontextmanager
async def tracked(serving: Running) -> AsyncIterator[tuple[Track, Api]]:
    """A ready server, and callers of every kind until the block ends."""
    await becomes(serving.channel, "readiness", "SERVING", within=60)
    api = await serving.sign_in("service")
    await stocked(api, "TEA", 1_000_000)
    order = (await api.orders.PlaceOrder(ask(("TEA", 1)))).order
    get = order_service_pb2.GetOrderRequest(order_id=order.order_id)
    track = Track(serving)
    calls: dict[str, Callable[[], Awaitable[Any]]] = {
        "PlaceOrder": lambda: track.place(api),
        "CreateProduct": lambda: created(api, f"NEW-{uuid4()}"),
        "GetOrder": lambda: api.orders.GetOrder(get, timeout=20),
        "WatchOrders": lambda: track.watch(api),
    }
    tasks = [asyncio.create_task(track.poll()), *(asyncio.create_task(track.call(*each)) for each in calls.items())]
    await track.all_again(time.monotonic(), within=60)
    try:
        yield track, api
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def told(serving: Running) -> list[dict[str, Any]]:
    """The log's lines above INFO."""
    return [line for line in serving.log if line["level"] not in ("debug", "info")]


def jobs_done(serving: Running) -> int:
    return sum(line["event"] == "job" and line["outcome"] == "done" for line in serving.log)


async def jobs_go_on(serving: Running, within: float) -> float:
    """How many seconds it took until another job was done; one is due every five."""
    began, before = time.monotonic(), jobs_done(serving)
    async with asyncio.timeout(within):
        while jobs_done(serving) == before:  # noqa: ASYNC110 - it is told by nobody
            await asyncio.sleep(0.05)
    return round(time.monotonic() - began, 2)


async def orders_placed(serving: Running, track: Track) -> None:
    """Each answered request has exactly one order."""
    assert all(len(found) <= 1 for found in track.orders.values())
    placed = {order_id for found in track.orders.values() for order_id in found}
    api = await serving.sign_in("service")
    for order_id in placed:
        await api.orders.GetOrder(order_service_pb2.GetOrderRequest(order_id=order_id))
    assert placed


@pytest.mark.parametrize("told_before", [False, True])
async def test_a_hung_primary_is_given_up_for_the_promoted_one(
    nodes: Pair, serving: Running, told_before: bool, record_property: Note
) -> None:
    """Its kernel responds and its processes do not; when they run again, no connection returns to it."""
    async with tracked(serving) as (track, _):
        with nodes.primary.frozen():
            hung = time.monotonic()
            if told_before:
                await becomes(serving.channel, "readiness", "NOT_SERVING", within=TOLD_SECONDS * BUSY)
            await asyncio.to_thread(nodes.standby.promote)
            promoted = time.monotonic()
            found = await track.all_again(promoted, HUNG_SECONDS * BUSY)
            jobs = await jobs_go_on(serving, 3 * HUNG_SECONDS)
            await becomes(serving.channel, "readiness", "SERVING", within=TOLD_SECONDS * BUSY)
        assert await checked(serving.channel, "liveness") == "SERVING"
        await asyncio.sleep(2)
        await track.all_again(time.monotonic(), HUNG_SECONDS * BUSY)
    assert [row for row in nodes.primary.ask(OURS) if row != ("SyncRep",)] == []
    await orders_placed(serving, track)
    record_property("again", {**found, "jobs": jobs})
    record_property("readiness since the fault", track.changes(hung))
    record_property("promoted after", round(promoted - hung, 2))
    assert len(told(serving)) <= 6, told(serving)


async def test_a_dead_primary_is_given_up_for_the_promoted_one(
    nodes: Pair, serving: Running, record_property: Note
) -> None:
    """Nothing listens there any more."""
    async with tracked(serving) as (track, _):
        died = time.monotonic()
        await asyncio.to_thread(nodes.primary.crash)
        await becomes(serving.channel, "readiness", "NOT_SERVING", within=TOLD_SECONDS * BUSY)
        await asyncio.to_thread(nodes.standby.promote)
        promoted = time.monotonic()
        found = await track.all_again(promoted, DEAD_SECONDS * BUSY)
        jobs = await jobs_go_on(serving, 3 * HUNG_SECONDS)
        await becomes(serving.channel, "readiness", "SERVING", within=TOLD_SECONDS * BUSY)
    await orders_placed(serving, track)
    record_property("again", {**found, "jobs": jobs})
    record_property("readiness since the fault", track.changes(died))
    record_property("promoted after", round(promoted - died, 2))
    assert len(told(serving)) <= 6, told(serving)


@pytest.mark.long
async def test_changes_wait_for_a_frozen_standby_and_reads_do_not(
    nodes: Pair, serving: Running, record_property: Note
) -> None:
    """Their callers get UNAVAILABLE; repeating a request when the standby is back returns its one order."""
    async with tracked(serving) as (track, api):
        placed = next(order_id for found in track.orders.values() for order_id in found)
        get = order_service_pb2.GetOrderRequest(order_id=placed)
        with nodes.standby.frozen():
            frozen = time.monotonic()
            request = ask(("TEA", 1))
            found = await refusal(api.orders.PlaceOrder(request, timeout=60))
            assert (found.code, found.reason) == (grpc.StatusCode.UNAVAILABLE, "DATABASE_UNAVAILABLE")
            given_up = time.monotonic()
            await becomes(serving.channel, "readiness", "NOT_SERVING", within=TOLD_SECONDS * BUSY)
            for _ in range(20):
                await asyncio.sleep(0.5)
                await api.orders.GetOrder(get, timeout=20)
            assert await checked(serving.channel, "readiness") == "NOT_SERVING"
        thawed = time.monotonic()
        await becomes(serving.channel, "readiness", "SERVING", within=TOLD_SECONDS * BUSY)
        again = await track.all_again(thawed, HUNG_SECONDS * BUSY)
        orders = {(await api.orders.PlaceOrder(request)).order.order_id for _ in range(2)}
        assert len(orders) == 1
    await orders_placed(serving, track)
    record_property("again", again)
    record_property("given up after", round(given_up - frozen, 2))
    record_property("readiness since the fault", track.changes(frozen))
    record_property("back after", round(thawed - frozen, 2))


async def test_an_old_primary_that_still_responds_is_given_up_for_the_promoted_one(
    nodes: Pair, serving: Running, record_property: Note
) -> None:
    """Its commits wait for a standby that it no longer has; a query shows that another host is ahead of it."""
    async with tracked(serving) as (track, _):
        await asyncio.to_thread(nodes.standby.promote)
        promoted = time.monotonic()
        found = await track.all_again(promoted, HUNG_SECONDS * BUSY)
        await becomes(serving.channel, "readiness", "SERVING", within=TOLD_SECONDS * BUSY)
        await asyncio.sleep(2)
        await track.all_again(time.monotonic(), HUNG_SECONDS * BUSY)
    assert [row for row in nodes.primary.ask(OURS) if row != ("SyncRep",)] == []
    await orders_placed(serving, track)
    record_property("again", found)

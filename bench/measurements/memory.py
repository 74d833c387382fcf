"""How much memory a server takes, idle and after many calls."""

import asyncio
import itertools
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from statistics import linear_regression
from uuid import uuid4

from backroom.commerce.v1.order_service_pb2 import GetOrderRequest, LineItem, PlaceOrderRequest
from bench.row import LIMIT, Row, row
from bench.setting import Bench
from load.connections import Connections, Server
from load.loops import Call
from load.shop import GET_ORDER, PLACE_ORDER, Shop
from load.statuses import Failed

MAX_IDLE_MEGABYTES = 150.0
"""Of an idle server, in megabytes of 1,000,000 bytes."""
MAX_SLOPE_MEGABYTES = 1.0
"""In megabytes for each 100,000 calls: ten bytes a call, less than the smallest object that a call could leave."""

_CALLS_LONG = 1_000_000
_CALLS_SHORT = 20_000
_CALLERS = 32
_READINGS = 200
"""How often the memory is read during all the calls."""
_IDLE = 3.0
"""In seconds: for a server's work right after its start."""
_PRODUCTS = 1_000
_PIECES = 10_000_000
_HUNDRED_THOUSAND = 100_000
_PAGE = os.sysconf("SC_PAGE_SIZE")


class NotRefused(Exception):
    """A call that must be refused was not, or was refused differently."""


async def memory(bench: Bench) -> list[Row]:
    calls = _CALLS_LONG if bench.long else _CALLS_SHORT
    async with bench.backroom(bench.database("memory")) as server:
        await asyncio.sleep(_IDLE)
        idle = _megabytes(server.pid)
        async with _mix(Server(server.address, server.api_key)) as call:
            readings = await _called(call, calls, lambda: _megabytes(server.pid))
    slope = _slope(readings)
    bench.say(f"  {idle:.1f} MB idle, {readings[-1][1]:.1f} MB after {calls:,} calls; {slope:+.2f} MB/100,000 at last")
    within = "Memory that a server gains over the second half of {:,} calls, for each 100,000"
    return [
        row(
            "Memory of an idle server", "MB", [(idle, MAX_IDLE_MEGABYTES)], against=LIMIT, goal=1, lower_is_better=True
        ),
        row(
            within.format(calls),
            "MB",
            # A value that does not grow, or shrinks, is shown as the table's smallest.
            [(max(slope, 0.01), MAX_SLOPE_MEGABYTES)],
            against=LIMIT,
            # With fewer calls the slope means nothing: caches fill up, and the allocator takes whole arenas.
            goal=1 if bench.long else None,
            lower_is_better=True,
        ),
    ]


@asynccontextmanager
async def _mix(server: Server) -> AsyncIterator[Call]:
    """Ten kinds of calls in turn, over all callers; eight succeed, of which three change something."""
    shop = await Shop.open(server.address, server.key, products=_PRODUCTS, stock=_PIECES)
    connections = Connections(server, 1)
    await connections.open()
    get_order, place_order = connections.method(GET_ORDER), connections.method(PLACE_ORDER)

    async def unknown(caller: int) -> None:
        request = GetOrderRequest(order_id=str(uuid4()))
        await _refused(get_order(caller, request.SerializeToString()), "NOT_FOUND")

    async def unsold(caller: int) -> None:
        request = PlaceOrderRequest(request_id=str(uuid4()), lines=[LineItem(sku=f"not sold {uuid4()}", quantity=1)])
        await _refused(place_order(caller, request.SerializeToString()), "NOT_FOUND")

    async def invalid(caller: int) -> None:
        request = PlaceOrderRequest(request_id=str(uuid4()), lines=[LineItem(sku="nothing of it", quantity=0)])
        await _refused(place_order(caller, request.SerializeToString()), "INVALID_ARGUMENT")

    reads = (shop.get_order, shop.get_product)
    kinds: Sequence[Call] = (shop.place_two, *reads, unknown, shop.place_two, *reads, unsold, shop.place_two, invalid)
    turns = itertools.cycle(kinds)

    async def call(caller: int) -> None:
        await next(turns)(caller)

    await shop.place_two(0)  # for the first one that reads an order
    yield call
    await shop.check()
    await shop.close()
    await connections.close()


async def _refused(call: Awaitable[bytes], code: str) -> None:
    try:
        await call
    except Failed as failed:
        if failed.code == code:
            return
        raise NotRefused(f"{failed}, not {code}") from failed
    raise NotRefused(f"a call was answered that must be refused as {code}")


async def _called(call: Call, calls: int, read: Callable[[], float]) -> Sequence[tuple[int, float]]:
    """Makes this many calls, and returns readings along the way, each with the number of calls before it."""
    numbers = iter(range(1, calls + 1))
    readings = []

    async def calling(caller: int) -> None:
        for number in numbers:
            await call(caller)
            if number % (calls // _READINGS) == 0:
                readings.append((number, read()))

    async with asyncio.TaskGroup() as callers:
        for caller in range(_CALLERS):
            callers.create_task(calling(caller))
    return sorted(readings)


def _slope(readings: Sequence[tuple[int, float]]) -> float:
    """By least squares over the second half, in megabytes for each 100,000 calls."""
    numbers, megabytes = zip(*readings[len(readings) // 2 :], strict=True)
    return linear_regression(numbers, megabytes).slope * _HUNDRED_THOUSAND


def _megabytes(pid: int) -> float:
    """The process's resident memory now, shared pages included."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE / 1e6

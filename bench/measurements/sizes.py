"""What a call costs on a large database, compared with the same call on a small one."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from statistics import median

from backroom.commerce.v1.order_service_pb2 import ListOrdersRequest
from backroom.commerce.v1.orders_pb2 import ORDER_STATE_FULFILLED
from bench.filling import MAX_LOYAL, fill
from bench.lists import Page, first_and_deep
from bench.measurements.sides import CONNECTIONS, Ours, calling
from bench.rounds import Side, meters, pairs, postgres_cpu, rate, rounds, server_cpu, whole
from bench.row import Row, row
from bench.setting import Bench
from load.connections import Connections, Server, Unary
from load.loops import closed_loop
from load.sample import Sample
from load.shop import Shop
from load.stocking import LIST_ORDERS

WITHIN = 1.3
"""One call may cost this many times as much as another."""

_SMALL = 10_000
_LARGE = 5_000_000
_LARGE_IN_SHORT = 100_000
_PRODUCTS = 1_000
_STOCK = 10_000_000
"""Pieces of each product that is ordered in the bench: more than it sells."""

_EVERY = {"all orders": ListOrdersRequest()}
_FILTERED = {
    "the orders of one state": ListOrdersRequest(state=ORDER_STATE_FULFILLED),
    "one customer's orders": ListOrdersRequest(customer_id=MAX_LOYAL),
}
_READERS = 4
_PART = 1 / 4
"""The share of a usual window for each page: there are many of them."""

Reading = Callable[[ListOrdersRequest], Awaitable[Sequence[Side[Sample]]]]


async def sizes(bench: Bench) -> list[Row]:
    large = _LARGE if bench.long else _LARGE_IN_SHORT
    databases = {orders: await _filled(bench, orders) for orders in (_SMALL, large)}
    return [*await _listing(bench, databases), *await _placing(bench, large, databases[large])]


async def _filled(bench: Bench, orders: int) -> str:
    bench.say(f"  filling a database with {orders:,} orders")
    url = bench.database(f"sizes_{orders}")
    await asyncio.to_thread(fill, url, orders)
    return url


async def _listing(bench: Bench, databases: Mapping[int, str]) -> list[Row]:
    """Four pages of each list: the first and a deep one, with few orders and with many."""
    rows = []
    async with AsyncExitStack() as stack:
        readings = [await stack.enter_async_context(_reading(bench, *each)) for each in databases.items()]
        for what, wanted in (_EVERY | _FILTERED if bench.long else _EVERY).items():
            sides = [side for reading in readings for side in await reading(wanted)]
            await rounds(bench, *sides)
            rows += _compared(bench, f"ListOrders, a page of 50 of {what}", sides)
    return rows


@asynccontextmanager
async def _reading(bench: Bench, orders: int, url: str) -> AsyncIterator[Reading]:
    """The lists of a server on this database."""
    async with bench.backroom(url) as server:
        connections = Connections(Server(server.address, server.api_key), 1)
        try:
            await connections.open()
            yield partial(_pages, bench, orders, server.pid, connections.method(LIST_ORDERS))
        finally:
            await connections.close()


async def _pages(
    bench: Bench, orders: int, pid: int, list_orders: Unary, wanted: ListOrdersRequest
) -> Sequence[Side[Sample]]:
    def side(page: Page) -> Side[Sample]:
        return Side(f"page {page.number:,} at {orders:,} orders", lambda: _window(bench, pid, list_orders, page))

    return [side(page) for page in await first_and_deep(list_orders, wanted)]


async def _window(bench: Bench, pid: int, list_orders: Unary, page: Page) -> Sample:
    async def read(caller: int) -> None:
        await page.read(list_orders, caller)

    times = {"seconds": bench.seconds * _PART, "warm_up": bench.warm_up * _PART}
    return whole(await closed_loop(read, callers=_READERS, meters=meters(bench, pid), **times))


def _compared(bench: Bench, measured: str, sides: Sequence[Side[Sample]]) -> list[Row]:
    """The most expensive page compared with the cheapest, by CPU, which has the goal, and by latency."""
    for side in sides:
        figures = ", ".join(f"{median(map(figure, side.figures)):.2f}" for figure in (_cpu, _latency))
        bench.say(f"  {side.name}: {figures} ms of CPU and of latency")
    figures_of: Sequence[tuple[str, Callable[[Sample], float], float | None]] = [
        ("CPU of server and PostgreSQL", _cpu, 1 / WITHIN),
        ("median latency", _latency, None),
    ]
    rows = []
    for what, figure, goal in figures_of:
        ordered = sorted(sides, key=lambda side: median(map(figure, side.figures)))
        least, most = ordered[0], ordered[-1]
        compared, text = pairs(most, least, figure), f"{measured}: {what}, {most.name}"
        rows.append(row(text, "ms", compared, against=least.name, goal=goal, lower_is_better=True))
    return rows


async def _placing(bench: Bench, orders: int, url: str) -> list[Row]:
    """Two servers on two databases of the same PostgreSQL, which differ only in their earlier orders."""
    async with _shop(bench, url) as many, _shop(bench, bench.database("sizes_empty")) as none:
        large = calling(bench, f"at {orders:,} orders", many.shop.place_two, many.server.pid)
        empty = calling(bench, "on an empty database", none.shop.place_two, none.server.pid)
        await rounds(bench, large, empty)
    measured = f"PlaceOrder, 2 lines over {_PRODUCTS:,} products, at {orders:,} orders"
    return [
        row(
            measured,
            "orders/s",
            pairs(large, empty, rate),
            against="an empty database",
            goal=1 / WITHIN,
        ),
        row(
            f"{measured}: CPU of server and PostgreSQL",
            "ms",
            pairs(large, empty, _cpu),
            against="an empty database",
            goal=1 / WITHIN,
            lower_is_better=True,
        ),
    ]


@asynccontextmanager
async def _shop(bench: Bench, url: str) -> AsyncIterator[Ours]:
    """A shop on a server on this database; the stock is checked at the end of the block."""
    async with bench.backroom(url) as server:
        shop = await Shop.open(
            server.address, server.api_key, products=_PRODUCTS, stock=_STOCK, connections=CONNECTIONS
        )
        yield Ours(server, shop)
        await shop.check()
        await shop.close()


def _cpu(sample: Sample) -> float:
    """Milliseconds of CPU per call."""
    return server_cpu(sample) + postgres_cpu(sample)


def _latency(sample: Sample) -> float:
    """Milliseconds."""
    return sample.percentile(0.5) * 1e3

"""GetOrder and GetProduct by a crowd: against the usual stack, and against a server that does nothing."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager

from backroom.commerce.v1 import catalog_service_pb2, order_service_pb2
from bench.peers import echo, serving
from bench.rounds import Side, load_share, pairs, rate, rounds, server_cpu
from bench.row import Row, row
from bench.setting import Bench
from bench.works.sides import CALLERS, CONNECTIONS, calling, our_shop, usual_shop
from load.http2 import Connection
from load.loops import Call, closed_loop
from load.sample import Sample

_PRODUCTS = 100
_PLACING = 1.0
"""Seconds: for orders to read."""


class NoEcho(Exception):
    """The floor answered something else."""


async def reading(bench: Bench) -> list[Row]:
    async with (
        our_shop(bench, "reading", products=_PRODUCTS) as ours,
        usual_shop(bench, "reading", "orm", products=_PRODUCTS) as usual,
        _floor() as (get_order, get_product, floor),
    ):
        for place in (ours.shop.place_hot, usual.shop.place_hot):
            await closed_loop(place, callers=CALLERS, seconds=_PLACING, warm_up=0)
        found: list[Row] = []
        for method, our_call, usual_call, floor_call in (
            ("GetOrder", ours.shop.get_order, usual.shop.get_order, get_order),
            ("GetProduct", ours.shop.get_product, usual.shop.get_product, get_product),
        ):
            backroom = calling(bench, f"{method} of Backroom", our_call, ours.server.pid)
            stack = calling(bench, "the usual stack (ORM)", usual_call, usual.server.pid)
            bare = calling(bench, "the floor", floor_call, floor)
            await rounds(bench, backroom, stack, bare)
            found += _rows(f"{method}, {CALLERS} callers", backroom, stack, bare)
    return found


def _rows(work: str, ours: Side[Sample], usual: Side[Sample], floor: Side[Sample]) -> list[Row]:
    return [
        row(f"{work}, against the usual stack (ORM)", "calls/s", pairs(ours, usual, rate), goal=5),
        row(f"{work}, against the floor", "calls/s", pairs(ours, floor, rate), goal=0.5),
        *(
            row(f"{work}: {what}, against {other}", unit, pairs(ours, side, figure), goal=None, lower_is_better=True)
            for what, unit, figure in (
                ("server CPU of a call", "ms", server_cpu),
                ("the load generator's share of a core", "%", load_share),
            )
            for other, side in (("the usual stack (ORM)", usual), ("the floor", floor))
        ),
    ]


@asynccontextmanager
async def _floor() -> AsyncIterator[tuple[Call, Call, int]]:
    """GetOrder and GetProduct of the floor's server, and its process's id."""
    with serving.echo() as server:
        connections = [await Connection.open(server.address) for _ in range(CONNECTIONS)]

        order = order_service_pb2.GetOrderRequest(order_id=echo.ORDER_ID).SerializeToString()
        product = catalog_service_pb2.GetProductRequest(sku=echo.SKU).SerializeToString()

        async def get_order(caller: int) -> None:
            answer = await orders[caller % CONNECTIONS](order)
            if order_service_pb2.GetOrderResponse.FromString(answer).order.order_id != echo.ORDER_ID:
                raise NoEcho

        async def get_product(caller: int) -> None:
            answer = await products[caller % CONNECTIONS](product)
            if catalog_service_pb2.GetProductResponse.FromString(answer).product.sku != echo.SKU:
                raise NoEcho

        orders = _methods(connections, "OrderService/GetOrder")
        products = _methods(connections, "CatalogService/GetProduct")
        yield get_order, get_product, server.pid
        for connection in connections:
            await connection.close()


def _methods(connections: Sequence[Connection], method: str) -> Sequence[Callable[[bytes], Awaitable[bytes]]]:
    return [connection.method(f"/backroom.commerce.v1.{method}") for connection in connections]

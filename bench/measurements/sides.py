"""The compared systems, ready to be called: a server process, a shop on it, and a check of its totals."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from statistics import median
from typing import Literal
from uuid import uuid4

from backroom.commerce.v1 import catalog_service_pb2, order_service_pb2
from bench.figures import Latency, Throughput
from bench.peers import echo
from bench.peers.serving import Served, usual
from bench.peers.serving import echo as serve_echo
from bench.peers.usual.issuing import TokenIssuer
from bench.peers.usual.load import UsualShop
from bench.rounds import (
    Side,
    load_share,
    median_latency,
    pairs,
    postgres_cpu,
    rate,
    server_cpu,
    slowest_hundredth,
    window,
)
from bench.row import Row, row
from bench.setting import Backroom, Bench
from load.http2 import Connection
from load.loops import Call
from load.order_requests import OrderRequests
from load.sample import Sample
from load.shop import GET_ORDER, GET_PRODUCT, PLACE_ORDER, Shop

CALLERS = 64
CONNECTIONS = 4
"""Of all of Backroom's callers, and of the echo's: gRPC carries many calls on one."""
_LEAST_RATIO = 5.0
"""Of what a module serves to what the usual stack does with the same features."""
_STOCK = 10_000_000
"""Pieces of each product: more than a bench sells."""


@dataclass(frozen=True, slots=True)
class Ours:
    server: Backroom
    shop: Shop


@dataclass(frozen=True, slots=True)
class Usual:
    server: Served
    shop: UsualShop


@dataclass(frozen=True, slots=True)
class Echo:
    """The calls of the bare gRPC echo, each of which checks its response."""

    pid: int
    place_order: Call
    get_order: Call
    get_product: Call


class NoEcho(Exception):
    """The echo's response is wrong."""


@asynccontextmanager
async def our_shop(bench: Bench, name: str, *, products: int) -> AsyncIterator[Ours]:
    """A shop on a new server and database; the stock is checked at the end of the block."""
    async with bench.backroom(bench.database(name)) as server:
        shop = await Shop.open(server.address, server.api_key, products=products, stock=_STOCK, connections=CONNECTIONS)
        yield Ours(server, shop)
        await shop.check()
        await shop.close()


@asynccontextmanager
async def usual_shop(
    bench: Bench, name: str, storage: Literal["orm", "core"], *, products: int
) -> AsyncIterator[Usual]:
    """The same for the usual stack."""
    url, issuer = bench.empty_database(f"{name}_{storage}"), TokenIssuer()
    with usual(url, storage, issuer.public_key) as server:
        shop = await UsualShop.open(server.address, url, issuer, products=products, pieces=_STOCK, callers=CALLERS)
        yield Usual(server, shop)
        await shop.check()
        await shop.close()


@asynccontextmanager
async def bare_echo() -> AsyncIterator[Echo]:
    """A server that answers with messages of the same size and does nothing else; it stores nothing to check."""
    asks = OrderRequests(uuid4(), products=1)
    order = order_service_pb2.GetOrderRequest(order_id=echo.ORDER_ID).SerializeToString()
    product = catalog_service_pb2.GetProductRequest(sku=echo.SKU).SerializeToString()
    with serve_echo() as server:
        connections = [await Connection.open(server.address) for _ in range(CONNECTIONS)]
        yield Echo(
            server.pid,
            _echoing(connections, PLACE_ORDER, lambda: asks.hot().request, _placed, echo.ORDER_ID),
            _echoing(connections, GET_ORDER, lambda: order, _read, echo.ORDER_ID),
            _echoing(connections, GET_PRODUCT, lambda: product, _found, echo.SKU),
        )
        for connection in connections:
            await connection.close()


def _echoing(
    connections: Sequence[Connection],
    path: str,
    request: Callable[[], bytes],
    named: Callable[[bytes], str],
    expected: str,
) -> Call:
    """Calls a method with a request, and compares the ids in its response with the expected ones."""
    methods = [connection.method(path) for connection in connections]

    async def call(caller: int) -> None:
        if named(await methods[caller % len(methods)](request())) != expected:
            raise NoEcho

    return call


def _placed(answer: bytes) -> str:
    return order_service_pb2.PlaceOrderResponse.FromString(answer).order.order_id


def _read(answer: bytes) -> str:
    return order_service_pb2.GetOrderResponse.FromString(answer).order.order_id


def _found(answer: bytes) -> str:
    return catalog_service_pb2.GetProductResponse.FromString(answer).product.sku


def calling(bench: Bench, name: str, call: Call, pid: int, *, callers: int = CALLERS) -> Side[Sample]:
    """A side that this many callers call in a closed loop."""
    return Side(name, lambda: window(bench, call, callers, pid))


def cpu_rows(measured: str, ours: Side[Sample], *others: Side[Sample]) -> list[Row]:
    """What a call costs the server, and the load generator, compared with each of the others; without a goal."""
    figures = (
        ("server CPU of a call", "ms", server_cpu),
        ("the load generator's share of a core", "%", load_share),
    )
    return [
        row(
            f"{measured}: {what}",
            unit,
            pairs(ours, other, figure),
            against=other.name,
            goal=None,
            lower_is_better=True,
        )
        for what, unit, figure in figures
        for other in others
    ]


def usual_rows(measured: str, unit: str, ours: Side[Sample], usual: Side[Sample]) -> list[Row]:
    """What a module serves compared with the usual stack, which has the goal, and what a call costs each of them."""
    costs = (("server CPU of a call", server_cpu), ("PostgreSQL's CPU of a call", postgres_cpu))
    return [
        row(measured, unit, pairs(ours, usual, rate), against=usual.name, goal=_LEAST_RATIO),
        *(
            row(
                f"{measured}: {what}",
                "ms",
                pairs(ours, usual, figure),
                against=usual.name,
                goal=None,
                lower_is_better=True,
            )
            for what, figure in costs
        ),
    ]


def throughput(method: str, system: str, side: Side[Sample]) -> Throughput:
    """The picture's figures from a side's rounds."""
    return Throughput(method, system, median(map(rate, side.figures)))


def latency(system: str, callers: int, side: Side[Sample]) -> Latency:
    """The picture's figures from a side's rounds with this many callers."""
    typical, slow = (median(map(figure, side.figures)) for figure in (median_latency, slowest_hundredth))
    return Latency(system, callers, typical, slow)

"""PlaceOrder: by a crowd on one product, by a crowd on many, and over a stream."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import TypeAlias

from bench.peers.pgbench import Pgbench, Told
from bench.rounds import (
    Side,
    limited,
    load_share,
    meters,
    pairs,
    postgres_cpu,
    rate,
    rounds,
    server_cpu,
    slowest_hundredth,
    whole,
)
from bench.row import Row, row
from bench.setting import Bench
from bench.works.sides import CALLERS, Ours, calling, our_shop, usual_shop
from load.sample import Sample

Comparison: TypeAlias = tuple[Side[Told], float]
"""With the goal of the ratio."""

_HOT = f"PlaceOrder, one hot product, {CALLERS} callers"
_PRODUCTS = 10_000
_STREAMS, _UNDER_WAY = 4, 256
_CLIENTS = (1, 4, 8, 16, 32, 64)
"""Numbers of clients that pgbench may be at its best with."""
_TRIAL = 2
"""Seconds that each of them is tried for: 64 connections take one to open."""


async def hot(bench: Bench) -> list[Row]:
    """All callers order one product, of which each order locks the stock."""
    async with (
        our_shop(bench, "hot", products=1) as ours,
        usual_shop(bench, "hot", "orm", products=1) as orm,
        usual_shop(bench, "hot", "core", products=1) as core,
    ):
        backroom = calling(bench, "Backroom", ours.shop.place_hot, ours.server.pid)
        on_orm = calling(bench, "the usual stack (ORM)", orm.shop.place_hot, orm.server.pid)
        on_core = calling(bench, "the usual stack (Core)", core.shop.place_hot, core.server.pid)
        await rounds(bench, backroom, on_orm, on_core)
    return [
        row(f"{_HOT}, against {on_orm.name}", "orders/s", pairs(backroom, on_orm, rate), goal=10),
        row(f"{_HOT}, against {on_core.name}", "orders/s", pairs(backroom, on_core, rate), goal=None),
        *_costs(_HOT, backroom, on_orm, 0.45),
    ]


async def hot_pgbench(bench: Bench) -> list[Row]:
    """The same beside pgbench; without the usual stack, since PostgreSQL has no connections for all of them at once."""
    async with _pgbench(bench) as comparisons:
        if not comparisons:
            return []
        async with our_shop(bench, "hot_pgbench", products=1) as ours:
            backroom = calling(bench, "Backroom", ours.shop.place_hot, ours.server.pid)
            await rounds(bench, backroom, *(side for side, _ in comparisons))
    return [_against_pgbench(backroom, *comparison) for comparison in comparisons]


async def two_lines(bench: Bench) -> list[Row]:
    """Each order has two lines of products picked at random."""
    work = f"PlaceOrder, 2 lines over {_PRODUCTS:,} products, {CALLERS} callers"
    async with (
        our_shop(bench, "two_lines", products=_PRODUCTS) as ours,
        usual_shop(bench, "two_lines", "orm", products=_PRODUCTS) as usual,
    ):
        backroom = calling(bench, "Backroom", ours.shop.place_two, ours.server.pid)
        on_orm = calling(bench, "the usual stack (ORM)", usual.shop.place_two, usual.server.pid)
        await rounds(bench, backroom, on_orm)
    against = row(f"{work}, against {on_orm.name}", "orders/s", pairs(backroom, on_orm, rate), goal=6)
    return [against, *_costs(work, backroom, on_orm, 0.5)]


async def streaming(bench: Bench) -> list[Row]:
    """The same orders of one product, over streams and by calls.

    A stream lets its client send on while answers are under way, as many as the server takes: that is held against
    the goal. With as many under way as there are callers, it shows what a call costs beside its order.
    """
    async with our_shop(bench, "streaming", products=1) as ours:
        full, even = [
            Side(f"PlaceOrders, {under_way} under way", partial(_stream, bench, ours, under_way))
            for under_way in (_UNDER_WAY, CALLERS)
        ]
        unary = calling(bench, f"PlaceOrder of {CALLERS} callers", ours.shop.place_hot, ours.server.pid)
        await rounds(bench, full, even, unary)
    work = f"PlaceOrders, {_STREAMS} streams, one hot product"
    return [
        row(f"{work}, {_UNDER_WAY} under way, against {unary.name}", "orders/s", pairs(full, unary, rate), goal=2),
        row(f"{work}, {CALLERS} under way, against {unary.name}", "orders/s", pairs(even, unary, rate), goal=None),
        row(
            f"{work}, {_UNDER_WAY} under way: server CPU of an order, against {unary.name}",
            "ms",
            pairs(full, unary, server_cpu),
            goal=None,
            lower_is_better=True,
        ),
    ]


async def _stream(bench: Bench, ours: Ours, under_way: int) -> Sample:
    sample = await ours.shop.stream_orders(
        bench.seconds,
        in_flight=under_way,
        streams=_STREAMS,
        warm_up=bench.warm_up,
        meters=meters(bench, ours.server.pid),
    )
    return whole(sample)


@asynccontextmanager
async def _pgbench(bench: Bench) -> AsyncIterator[Sequence[Comparison]]:
    """pgbench with as many clients as there are callers, and with the number that it is fastest with; or neither."""
    program = bench.postgres.program("pgbench")
    if program is None:
        bench.say("  pgbench is left out: this PostgreSQL comes without it, and there is none on the search path")
        yield []
        return
    peer = Pgbench(program, bench.database("pgbench"))
    trials = {clients: (await peer.run(clients, _TRIAL)).rate for clients in _CLIENTS}
    bench.say("  pgbench alone: " + ", ".join(f"{rate:.0f}/s with {clients}" for clients, rate in trials.items()))
    best = max(trials, key=lambda clients: trials[clients])
    seconds = max(_TRIAL, round(bench.seconds))
    yield [
        (Side(f"pgbench with {CALLERS} clients", lambda: peer.run(CALLERS, seconds)), 2),
        (Side(f"pgbench at its best number of clients, {best}", lambda: peer.run(best, seconds)), 1.4),
    ]
    await peer.check()


def _against_pgbench(ours: Side[Sample], side: Side[Told], goal: float) -> Row:
    figures = [(sample.rate, told.rate) for sample, told in zip(ours.figures, side.figures, strict=True)]
    return row(f"{_HOT}, against {side.name}", "orders/s", figures, goal=goal)


def _costs(work: str, ours: Side[Sample], other: Side[Sample], limit: float) -> list[Row]:
    """What an order costs, of which the server's CPU is held against a limit."""
    beside: Sequence[tuple[str, str, Callable[[Sample], float]]] = [
        ("server CPU of an order", "ms", server_cpu),
        ("PostgreSQL's CPU of an order", "ms", postgres_cpu),
        ("the load generator's share of a core", "%", load_share),
        ("99th percentile of the latency", "ms", slowest_hundredth),
    ]
    held = row(
        f"{work}: server CPU of an order, against the limit",
        "ms",
        limited(ours, limit, server_cpu),
        goal=1,
        lower_is_better=True,
    )
    return [held] + [
        row(f"{work}: {what}, against {other.name}", unit, pairs(ours, other, figure), goal=None, lower_is_better=True)
        for what, unit, figure in beside
    ]

"""PlaceOrder: many callers on one product, many callers on many products, and over a stream."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial

from bench.figures import BACKROOM, ECHO, PLACE_ORDER, USUAL, Finding, Latency
from bench.measurements.pgbench import against_pgbench, fastest, pgbench_on, pgbench_side, pgbench_throughput
from bench.measurements.sides import (
    CALLERS,
    Ours,
    bare_echo,
    calling,
    latency,
    our_shop,
    throughput,
    usual_shop,
)
from bench.rounds import (
    Side,
    load_share,
    median_latency,
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
from load.loops import Call
from load.sample import Sample

MAX_ECHO_RATIO = 2.0
"""An order's CPU may be this many times the bare echo's CPU of a call."""

_HOT = f"PlaceOrder, one hot product, {CALLERS} callers"
_FEWER_CALLERS = (1, 4, 16)
"""The smaller numbers of callers for which the picture shows latency."""
_PRODUCTS = 10_000
_STREAMS, _UNDER_WAY = 4, 256
_CLIENTS, _CLIENTS_IN_SHORT = (1, 4, 8, 16, 32, 64), (4, 8, 16, 32)
"""Numbers of clients at which pgbench may be fastest."""
_TRIAL_SECONDS = 2
"""The duration of each trial: 64 connections take one second to open."""


async def hot(bench: Bench) -> list[Finding]:
    """All callers order one product, whose stock each order locks."""
    async with (
        our_shop(bench, "hot", products=1) as ours,
        usual_shop(bench, "hot", "orm", products=1) as orm,
        usual_shop(bench, "hot", "core", products=1) as core,
        bare_echo() as echo,
    ):
        backroom = calling(bench, "Backroom", ours.shop.place_hot, ours.server.pid)
        on_orm = calling(bench, "the usual stack (ORM)", orm.shop.place_hot, orm.server.pid)
        on_core = calling(bench, "the usual stack (Core)", core.shop.place_hot, core.server.pid)
        bare = calling(bench, "the bare gRPC echo", echo.place_order, echo.pid)
        await rounds(bench, backroom, on_orm, on_core, bare)
        systems = {BACKROOM: (ours.shop.place_hot, ours.server.pid), USUAL: (orm.shop.place_hot, orm.server.pid)}
        fewer = await _latencies(bench, systems)
    return [
        row(_HOT, "orders/s", pairs(backroom, on_orm, rate), against=on_orm.name, goal=10),
        row(_HOT, "orders/s", pairs(backroom, on_core, rate), against=on_core.name, goal=None),
        *_costs(_HOT, backroom, on_orm, bare),
        *(throughput(PLACE_ORDER, name, side) for name, side in ((BACKROOM, backroom), (USUAL, on_orm), (ECHO, bare))),
        *fewer,
        *(latency(name, CALLERS, side) for name, side in ((BACKROOM, backroom), (USUAL, on_orm))),
    ]


async def _latencies(bench: Bench, systems: Mapping[str, tuple[Call, int]]) -> list[Latency]:
    """The latencies of each system's call, with fewer callers; each is given with its server's process."""
    sides = {
        (name, callers): calling(bench, f"{name} by {callers}", call, pid, callers=callers)
        for callers in _FEWER_CALLERS
        for name, (call, pid) in systems.items()
    }
    # One round in the short form, to stay within its three minutes.
    await rounds(bench, *sides.values(), count=None if bench.long else 1)
    return [latency(name, callers, side) for (name, callers), side in sides.items()]


async def hot_pgbench(bench: Bench) -> list[Finding]:
    """The same compared with pgbench; without the usual stack, since PostgreSQL lacks connections for all of them."""
    async with pgbench_on(bench, "pgbench") as pgbench:
        if pgbench is None:
            return []
        best = await fastest(bench, pgbench.run, _CLIENTS if bench.long else _CLIENTS_IN_SHORT, _TRIAL_SECONDS)
        many, few = (
            pgbench_side(bench, name, pgbench.run, clients, least_seconds=_TRIAL_SECONDS)
            for name, clients in (
                (f"pgbench with {CALLERS} clients", CALLERS),
                (f"pgbench at its best number of clients, {best}", best),
            )
        )
        async with our_shop(bench, "hot_pgbench", products=1) as ours:
            backroom = calling(bench, "Backroom", ours.shop.place_hot, ours.server.pid)
            await rounds(bench, backroom, many, few)
    return [
        against_pgbench(_HOT, "orders/s", backroom, many, goal=2),
        against_pgbench(_HOT, "orders/s", backroom, few, goal=1.4),
        pgbench_throughput(PLACE_ORDER, few),
    ]


async def two_lines(bench: Bench) -> list[Finding]:
    """Each order has two lines of products picked at random."""
    measured = f"PlaceOrder, 2 lines over {_PRODUCTS:,} products, {CALLERS} callers"
    async with (
        our_shop(bench, "two_lines", products=_PRODUCTS) as ours,
        usual_shop(bench, "two_lines", "orm", products=_PRODUCTS) as usual,
        bare_echo() as echo,
    ):
        backroom = calling(bench, "Backroom", ours.shop.place_two, ours.server.pid)
        on_orm = calling(bench, "the usual stack (ORM)", usual.shop.place_two, usual.server.pid)
        bare = calling(bench, "the bare gRPC echo", echo.place_order, echo.pid)
        await rounds(bench, backroom, on_orm, bare)
    against_orm = row(measured, "orders/s", pairs(backroom, on_orm, rate), against=on_orm.name, goal=6)
    return [against_orm, *_costs(measured, backroom, on_orm, bare)]


async def streaming(bench: Bench) -> list[Finding]:
    """The same orders of one product, over streams and by calls.

    On a stream the client can send on while responses are pending, up to the server's limit: that row has the goal.
    The row with as many pending as there are callers shows what a call costs in addition to its order.
    """
    async with our_shop(bench, "streaming", products=1) as ours:
        full, even = [
            Side(f"PlaceOrders, {under_way} under way", partial(_stream, bench, ours, under_way))
            for under_way in (_UNDER_WAY, CALLERS)
        ]
        unary = calling(bench, f"PlaceOrder of {CALLERS} callers", ours.shop.place_hot, ours.server.pid)
        await rounds(bench, full, even, unary)
    measured = f"PlaceOrders, {_STREAMS} streams, one hot product"
    return [
        row(f"{measured}, {_UNDER_WAY} under way", "orders/s", pairs(full, unary, rate), against=unary.name, goal=2),
        row(f"{measured}, {CALLERS} under way", "orders/s", pairs(even, unary, rate), against=unary.name, goal=None),
        row(
            f"{measured}, {_UNDER_WAY} under way: server CPU of an order",
            "ms",
            pairs(full, unary, server_cpu),
            against=unary.name,
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


def _costs(measured: str, ours: Side[Sample], usual: Side[Sample], echo: Side[Sample]) -> list[Row]:
    """What an order costs; the server's CPU is compared with the bare echo's in the same rounds."""
    beside: Sequence[tuple[str, str, Callable[[Sample], float]]] = [
        ("server CPU of an order", "ms", server_cpu),
        ("PostgreSQL's CPU of an order", "ms", postgres_cpu),
        ("the load generator's share of a core", "%", load_share),
        ("median latency", "ms", median_latency),
        ("99th percentile of the latency", "ms", slowest_hundredth),
    ]
    against_echo = row(
        f"{measured}: server CPU of an order",
        "ms",
        pairs(ours, echo, server_cpu),
        against=echo.name,
        goal=1 / MAX_ECHO_RATIO,
        lower_is_better=True,
    )
    against_usual = [
        row(
            f"{measured}: {what}",
            unit,
            pairs(ours, usual, figure),
            against=usual.name,
            goal=None,
            lower_is_better=True,
        )
        for what, unit, figure in beside
    ]
    return [against_echo, *against_usual]

"""GetOrder and GetProduct by many callers, compared with the usual stack, the bare gRPC echo, and pgbench."""

from bench.figures import BACKROOM, ECHO, GET_ORDER, GET_PRODUCT, USUAL, Finding
from bench.measurements.pgbench import against_pgbench, fastest, pgbench_on, pgbench_side, pgbench_throughput
from bench.measurements.sides import CALLERS, bare_echo, calling, our_shop, throughput, usual_shop
from bench.peers.pgbench import Pgbench, PgbenchRun
from bench.rounds import Side, load_share, pairs, rate, rounds, server_cpu
from bench.row import Row, row
from bench.setting import Bench
from load.loops import closed_loop
from load.sample import Sample

_PRODUCTS = 100
_PLACING = 1.0
"""Seconds: for placing orders that are then read."""
_CLIENTS, _CLIENTS_IN_SHORT = (2, 4, 8, 16), (4, 16)
"""Numbers of clients at which pgbench may be fastest: more would need more connections than PostgreSQL has left."""
_TRIAL_SECONDS = 1


async def reading(bench: Bench) -> list[Finding]:
    async with (
        our_shop(bench, "reading", products=_PRODUCTS) as ours,
        usual_shop(bench, "reading", "orm", products=_PRODUCTS) as usual,
        bare_echo() as echo,
        pgbench_on(bench, "reading_pgbench") as pgbench,
    ):
        for place in (ours.shop.place_hot, usual.shop.place_hot):
            await closed_loop(place, callers=CALLERS, seconds=_PLACING, warm_up=0)
        if pgbench is not None:
            await pgbench.run(clients=1, seconds=1)
        found: list[Finding] = []
        for method, our_call, usual_call, echo_call in (
            (GET_ORDER, ours.shop.get_order, usual.shop.get_order, echo.get_order),
            (GET_PRODUCT, ours.shop.get_product, usual.shop.get_product, echo.get_product),
        ):
            backroom = calling(bench, f"{method} of Backroom", our_call, ours.server.pid)
            stack = calling(bench, "the usual stack (ORM)", usual_call, usual.server.pid)
            bare = calling(bench, "the bare gRPC echo", echo_call, echo.pid)
            beside = [await _pgbench_side(bench, pgbench, method)] if pgbench is not None else []
            await rounds(bench, backroom, stack, bare, *beside)
            found += _rows(f"{method}, {CALLERS} callers", backroom, stack, bare)
            found += [against_pgbench(f"{method}, {CALLERS} callers", "calls/s", backroom, side) for side in beside]
            found += [pgbench_throughput(method, side) for side in beside]
            systems = {BACKROOM: backroom, USUAL: stack, ECHO: bare}
            found += [throughput(method, system, side) for system, side in systems.items()]
    return found


async def _pgbench_side(bench: Bench, pgbench: Pgbench, method: str) -> Side[PgbenchRun]:
    read = {GET_ORDER: pgbench.read_order, GET_PRODUCT: pgbench.read_product}[method]
    clients = await fastest(bench, read, _CLIENTS if bench.long else _CLIENTS_IN_SHORT, _TRIAL_SECONDS)
    return pgbench_side(bench, f"pgbench at its best number of clients, {clients}", read, clients)


def _rows(measured: str, ours: Side[Sample], usual: Side[Sample], echo: Side[Sample]) -> list[Row]:
    return [
        row(measured, "calls/s", pairs(ours, usual, rate), against=usual.name, goal=5),
        row(measured, "calls/s", pairs(ours, echo, rate), against=echo.name, goal=0.5),
        *(
            row(
                f"{measured}: {what}",
                unit,
                pairs(ours, other, figure),
                against=other.name,
                goal=None,
                lower_is_better=True,
            )
            for what, unit, figure in (
                ("server CPU of a call", "ms", server_cpu),
                ("the load generator's share of a core", "%", load_share),
            )
            for other in (usual, echo)
        ),
    ]

"""pgbench in comparison: on a database of its own, with the number of clients at which it is fastest."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from statistics import median
from typing import TypeAlias

from bench.figures import PGBENCH, Throughput
from bench.peers.pgbench import Pgbench, PgbenchRun
from bench.rounds import Side
from bench.row import Row, row
from bench.setting import Bench
from load.sample import Sample

Run: TypeAlias = Callable[[int, int], Awaitable[PgbenchRun]]
"""One of pgbench's scripts, with this many clients for this many seconds."""


@asynccontextmanager
async def pgbench_on(bench: Bench, name: str) -> AsyncIterator[Pgbench | None]:
    """Pgbench on a fresh database, whose totals are checked at the end of the block; None without pgbench."""
    program = bench.postgres.program("pgbench")
    if program is None:
        bench.say("  pgbench is left out: this PostgreSQL comes without it, and there is none on the search path")
        yield None
        return
    pgbench = Pgbench(program, bench.database(name))
    yield pgbench
    await pgbench.check()


async def fastest(bench: Bench, run: Run, clients: Sequence[int], seconds: int) -> int:
    """Tries each number of clients for this many seconds, and returns the fastest one."""
    rates = {number: (await run(number, seconds)).rate for number in clients}
    bench.say("  pgbench alone: " + ", ".join(f"{rate:.0f}/s with {number}" for number, rate in rates.items()))
    return max(rates, key=lambda number: rates[number])


def pgbench_side(bench: Bench, name: str, run: Run, clients: int, *, least_seconds: int = 1) -> Side[PgbenchRun]:
    """A side with this many clients; pgbench runs for whole seconds."""
    seconds = max(least_seconds, int(bench.seconds))
    return Side(name, lambda: run(clients, seconds))


def against_pgbench(
    measured: str, unit: str, ours: Side[Sample], side: Side[PgbenchRun], *, goal: float | None = None
) -> Row:
    """The rates of both, round by round."""
    figures = [(sample.rate, run.rate) for sample, run in zip(ours.figures, side.figures, strict=True)]
    return row(measured, unit, figures, against=side.name, goal=goal)


def pgbench_throughput(method: str, side: Side[PgbenchRun]) -> Throughput:
    """The picture's figures from its rounds."""
    return Throughput(method, PGBENCH, median(run.rate for run in side.figures))

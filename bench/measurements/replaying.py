"""How fast real orders are placed through the services, compared with a bare COPY of the same rows."""

import os
import time
from collections.abc import Sequence
from pathlib import Path
from uuid import uuid4

import psycopg
from rich.console import Console

from backroom_client import AsyncBackroom, Key
from bench.row import Row, row
from bench.setting import Bench
from replay import Dataset, Outcome, first_day, progress_on, read_dataset, replay

YEAR = "BENCH_YEAR"
"""The environment variable that names a file for the long form, in the format that `backroom replay` takes."""

_TABLES = ("commerce.products", "commerce.orders", "commerce.order_lines")
"""In the order of their foreign keys."""


class Incomplete(Exception):
    """The database does not contain what the file should lead to."""


async def replaying(bench: Bench) -> list[Row]:
    """Lines a second: of the day that is part of the package, and in the long form of a whole file."""
    found = await _rows(bench, "a real day", first_day(), bench.rounds)
    year = os.environ.get(YEAR)
    if not bench.long:
        return found
    if year is None:
        bench.say(f"left out: the replay of a whole file, since {YEAR} names none")
        return found
    return found + await _rows(bench, "a whole year", read_dataset(Path(year)), 1)


async def _rows(bench: Bench, what: str, dataset: Dataset, rounds: int) -> list[Row]:
    """One row for the orders alone, whose rows COPY writes too, and one for everything that a replay does.

    Neither has a goal: a service that checks, prices, reserves and publishes is compared with loading rows.
    """
    placed, whole = [], []
    for _ in range(rounds):
        outcome, copied = await _round(bench, dataset)
        lines = outcome.figures.lines
        placed.append((outcome.lines_per_second, lines / copied))
        whole.append((lines / outcome.seconds, lines / copied))
        bench.say(f"{what}: {lines:,} lines in {outcome.seconds:.1f} s, by a bare COPY in {copied:.2f} s")
    return [
        row(f"Replay of {what}, its orders", "lines/s", placed, against="a bare COPY of the same rows", goal=None),
        row(f"Replay of {what} with its products and stock", "lines/s", whole, against="the same COPY", goal=None),
    ]


async def _round(bench: Bench, dataset: Dataset) -> tuple[Outcome, float]:
    """The result of a replay, and how many seconds a COPY of its order and line rows takes."""
    name = f"replay_{uuid4().hex}"
    replayed, copied = bench.database(name), bench.database(f"{name}_copy")
    async with bench.backroom(replayed) as server, AsyncBackroom(server.address, Key(server.api_key)) as backroom:
        with progress_on(Console(quiet=True, force_terminal=False)) as progress:
            outcome = await replay(backroom, dataset, progress)
    if not outcome.complete:
        raise Incomplete(f"{outcome.figures} of {outcome.expected}, refused: {outcome.refusals}")
    return outcome, _copy(replayed, copied, outcome.figures.lines)


def _copy(source: str, target: str, lines: int) -> float:
    """The seconds that one transaction takes to copy orders and lines, whose products exist already."""
    with psycopg.connect(source) as connection:
        products, *rest = [_read(connection, table) for table in _TABLES]
    with psycopg.connect(target) as connection:
        _write(connection, _TABLES[0], products)
        connection.commit()
        began = time.perf_counter()
        for table, content in zip(_TABLES[1:], rest, strict=True):
            written = _write(connection, table, content)
        connection.commit()
        taken = time.perf_counter() - began
    if written != lines:
        raise Incomplete(f"{written:,} lines were copied of {lines:,}")
    return taken


def _read(connection: psycopg.Connection[tuple[object, ...]], table: str) -> Sequence[bytes]:
    with connection.cursor().copy(f"COPY {table} TO STDOUT") as copy:
        return [bytes(piece) for piece in copy]


def _write(connection: psycopg.Connection[tuple[object, ...]], table: str, content: Sequence[bytes]) -> int:
    """How many rows were written."""
    cursor = connection.cursor()
    with cursor.copy(f"COPY {table} FROM STDIN") as copy:
        for piece in content:
            copy.write(piece)
    return cursor.rowcount

"""pgbench: how fast a C client places or reads one order at a time on Backroom's own tables."""

import asyncio
import os
import re
import secrets
import tempfile
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import psycopg

from bench.totals import check_totals, stock_product

PLACE_ORDER, READ_ORDER, READ_PRODUCT = (
    Path(__file__).with_name(name) for name in ("place_order.sql", "read_order.sql", "read_product.sql")
)
_HAS_UUIDV7 = 180_000
"""From this version on the server can make such ids."""


class PgbenchFailed(Exception):
    """pgbench failed; the text says why."""


@dataclass(frozen=True, slots=True)
class PgbenchRun:
    """The figures that one run of pgbench reports."""

    transactions: int
    rate: float
    """Transactions a second, without the time that the connections took to open."""
    latency: float
    """The mean, in seconds."""


class Pgbench:
    """Orders of one hot product in a database of its own, in which it creates and stocks the product."""

    def __init__(self, program: str, url: str) -> None:
        """`url` is a migrated, empty database, which no server uses."""
        self._program = program
        self._url = url
        self._placed = 0
        with psycopg.connect(url) as connection:
            self._makes_ids = connection.info.server_version >= _HAS_UUIDV7
        caller = str(uuid4())
        self._variables = {
            "sku": stock_product(url),
            "caller": caller,
            "caller_text": caller,
            "digest": rf"\x{secrets.token_hex(32)}",
            "mac": rf"\x{secrets.token_hex(32)}",
            "key_id": secrets.token_hex(4),
            "call_id": secrets.token_hex(16),
            "address": "127.0.0.1",
        }

    async def run(self, clients: int, seconds: int) -> PgbenchRun:
        """Places orders with this many clients, each with one order at a time; raises PgbenchFailed."""
        run = await self._run(PLACE_ORDER, clients, seconds)
        self._placed += run.transactions
        return run

    async def read_order(self, clients: int, seconds: int) -> PgbenchRun:
        """Reads one of the placed orders repeatedly; raises PgbenchFailed, also if none was placed."""
        with psycopg.connect(self._url) as connection:
            found = connection.execute("SELECT id FROM commerce.orders LIMIT 1").fetchone()
        if found is None:
            raise PgbenchFailed("no order was placed that could be read")
        self._variables["order_id"] = str(found[0])
        return await self._run(READ_ORDER, clients, seconds)

    async def read_product(self, clients: int, seconds: int) -> PgbenchRun:
        """Reads the product repeatedly; raises PgbenchFailed."""
        return await self._run(READ_PRODUCT, clients, seconds)

    async def _run(self, path: Path, clients: int, seconds: int) -> PgbenchRun:
        with tempfile.NamedTemporaryFile("w", suffix=".sql") as script:
            script.write(_script(path, makes_ids=self._makes_ids))
            script.flush()
            process = await asyncio.create_subprocess_exec(
                *self._command(script.name, clients, seconds),
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
            )
            out, err = await process.communicate()
        if process.returncode != 0:
            raise PgbenchFailed(f"pgbench ended with {process.returncode}: {err.decode()[-2000:]}")
        return read(out.decode())

    async def check(self) -> None:
        """Checks the rows against Backroom's own invariants, and the number of orders; raises TotalsMismatch."""
        await check_totals(self._url, self._placed)

    def _command(self, script: str, clients: int, seconds: int) -> list[str]:
        threads = min(clients, os.cpu_count() or 1)
        sizes = (f"--client={clients}", f"--jobs={threads}", f"--time={seconds}")
        variables = [f"--define={name}={value}" for name, value in self._variables.items()]
        return [self._program, "--no-vacuum", "--protocol=prepared", f"--file={script}", *sizes, *variables, self._url]


def read(out: str) -> PgbenchRun:
    """Parses pgbench's output; raises PgbenchFailed if transactions failed, or a figure is missing."""
    failed = _figure(r"number of failed transactions: (\d+)", out)
    if failed:
        raise PgbenchFailed(f"{failed:.0f} of pgbench's transactions failed")
    return PgbenchRun(
        transactions=int(_figure(r"number of transactions actually processed: (\d+)", out)),
        rate=_figure(r"tps = ([\d.]+) \(without initial connection time\)", out),
        latency=_figure(r"latency average = ([\d.]+) ms", out) / 1000,
    )


def _figure(pattern: str, out: str) -> float:
    found = re.search(pattern, out)
    if found is None:
        raise PgbenchFailed(f"pgbench did not print what was looked for, {pattern!r}:\n{out}")
    return float(found[1])


def _script(path: Path, *, makes_ids: bool) -> str:
    """The script; on a server that cannot make ordered ids it makes random ones."""
    text = path.read_text()
    return text if makes_ids else text.replace("uuidv7()", "gen_random_uuid()")

"""pgbench: what PostgreSQL gives a C client that places one order a transaction, on Backroom's own tables."""

import asyncio
import os
import re
import secrets
import tempfile
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import psycopg

from bench.books import check_books, stock_product

_SCRIPT = Path(__file__).with_name("place_order.sql")
_HAS_UUIDV7 = 180_000
"""From this version on the server makes such ids itself."""


class PgbenchFailed(Exception):
    """pgbench could not do its work; the text says why."""


@dataclass(frozen=True, slots=True)
class Told:
    """What one run of pgbench says of itself."""

    transactions: int
    rate: float
    """Transactions a second, without the time that the connections took to open."""
    latency: float
    """The mean, in seconds."""


class Pgbench:
    """Orders for one hot product in a database of its own, which it makes and stocks."""

    def __init__(self, program: str, url: str) -> None:
        """`url` is of a migrated, empty database, which no server is serving."""
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

    async def run(self, clients: int, seconds: int) -> Told:
        """Places orders by so many clients, each with a connection and one order at a time; raises PgbenchFailed."""
        with tempfile.NamedTemporaryFile("w", suffix=".sql") as script:
            script.write(_script(makes_ids=self._makes_ids))
            script.flush()
            process = await asyncio.create_subprocess_exec(
                *self._command(script.name, clients, seconds),
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
            )
            out, err = await process.communicate()
        if process.returncode != 0:
            raise PgbenchFailed(f"pgbench ended with {process.returncode}: {err.decode()[-2000:]}")
        told = read(out.decode())
        self._placed += told.transactions
        return told

    async def check(self) -> None:
        """Holds what was written against Backroom's own invariants, and the number of orders; raises BooksWrong."""
        await check_books(self._url, self._placed)

    def _command(self, script: str, clients: int, seconds: int) -> list[str]:
        threads = min(clients, os.cpu_count() or 1)
        sizes = (f"--client={clients}", f"--jobs={threads}", f"--time={seconds}")
        variables = [f"--define={name}={value}" for name, value in self._variables.items()]
        return [self._program, "--no-vacuum", "--protocol=prepared", f"--file={script}", *sizes, *variables, self._url]


def read(out: str) -> Told:
    """What pgbench printed at the end of a run; raises PgbenchFailed where transactions failed, or a figure misses."""
    failed = _figure(r"number of failed transactions: (\d+)", out)
    if failed:
        raise PgbenchFailed(f"{failed:.0f} of pgbench's transactions failed")
    return Told(
        transactions=int(_figure(r"number of transactions actually processed: (\d+)", out)),
        rate=_figure(r"tps = ([\d.]+) \(without initial connection time\)", out),
        latency=_figure(r"latency average = ([\d.]+) ms", out) / 1000,
    )


def _figure(pattern: str, out: str) -> float:
    found = re.search(pattern, out)
    if found is None:
        raise PgbenchFailed(f"pgbench did not print what was looked for, {pattern!r}:\n{out}")
    return float(found[1])


def _script(*, makes_ids: bool) -> str:
    """The script; a server that cannot make ordered ids makes random ones."""
    text = _SCRIPT.read_text()
    return text if makes_ids else text.replace("uuidv7()", "gen_random_uuid()")

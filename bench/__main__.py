"""Compares Backroom with a usual stack and two baselines, prints a table of ratios, and draws a picture.

make bench              the short form, under three minutes
make bench BENCH=long   the long form, which rewrites docs/performance.md

It exits with code 1 if a call fails, or if an answer, a stock or a count is not what it should be.
"""

import argparse
import asyncio
import sys
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

import uvloop
from rich.console import Console

from bench.document import Files, Occasion, leave
from bench.figures import Finding
from bench.measurements import MEASUREMENTS
from bench.report import table
from bench.row import Row
from bench.setting import Bench
from storage.embedded import temporary_postgres

_FOLDER = Path(__file__).parent
_WIDTH = 160
"""Of the table in a file or a pipe, in characters."""
_FILES = Files(
    last=_FOLDER / "last.json", picture=_FOLDER / "picture.json", document=_FOLDER.parent / "docs" / "performance.md"
)


def main() -> None:
    given = _arguments()
    console = Console(highlight=False, width=None if sys.stdout.isatty() else _WIDTH)
    names = given.only or [name for name, measurement in MEASUREMENTS.items() if given.long or measurement.short]
    with temporary_postgres(durable=True) as url, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        bench = Bench(url, long=given.long, say=_clocked(console))
        findings = runner.run(_measure(bench, names, console))
    console.print(table(_rows(findings)))
    if given.only is None:  # a run of some measurements only prints its rows
        day = datetime.now(UTC).date()
        occasion = Occasion(day, given.long, bench.rounds, bench.seconds, bench.postgres.version)
        leave(findings, occasion, _FILES)


def _arguments() -> argparse.Namespace:
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser("python -m bench", description=__doc__, formatter_class=form)
    parser.add_argument("--long", action="store_true", help="more and longer rounds, and what takes long")
    names = list(MEASUREMENTS)
    parser.add_argument("--only", nargs="+", choices=names, metavar="NAME", help=f"some of {', '.join(names)}")
    return parser.parse_args()


async def _measure(bench: Bench, names: Sequence[str], console: Console) -> Sequence[Finding]:
    findings: list[Finding] = []
    for name in names:
        bench.say(f"{name}: {MEASUREMENTS[name].what}")
        try:
            findings += await MEASUREMENTS[name].measure(bench)
        except Exception:
            console.print(table(_rows(findings)))  # print what took so long to measure in any case
            console.print(f"[bold red]The bench failed in the measurement {name}; nothing was written.[/]")
            raise
    return findings


def _rows(findings: Sequence[Finding]) -> Sequence[Row]:
    return [each for each in findings if isinstance(each, Row)]


def _clocked(console: Console) -> Callable[[str], None]:
    """Prints each message with the seconds since the start."""
    began = time.monotonic()
    return lambda text: console.print(f"{time.monotonic() - began:6.1f} s  {text}", markup=False, soft_wrap=True)


if __name__ == "__main__":
    main()

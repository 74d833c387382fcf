"""Runs rounds of each fault, and prints a table for docs/proofs.md: `python -m tests.failover --rounds 20`."""

import argparse
import asyncio
import os
import signal
import sys
import time
from collections.abc import Coroutine, Sequence
from typing import Any

os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")  # before gRPC is loaded, as in the server
os.environ.setdefault("GRPC_VERBOSITY", "ERROR")  # connections end here all the time

import grpc
import psycopg
import uvloop

from tests.failover.cluster import Template, template
from tests.failover.faults import FAULTS, Fault, NotPlayed
from tests.failover.rounds import TITLES, Result, broken, broken_off, played, row
from tests.failover.setting import running
from tests.fixtures.postgres_nodes import NodeFailed

_SHOWN = 20
"""Of each kind of finding: a watch that stands still leaves out thousands."""


def main() -> int:
    """The exit code: 1 if a guarantee was broken."""
    asked = argparse.ArgumentParser(prog="python -m tests.failover", description=__doc__)
    asked.add_argument("--rounds", type=int, default=20)
    asked.add_argument("--short", action="store_true", help="only the few faults that tell the most, in one world")
    asked.add_argument("--verbose", action="store_true", help="print more of what is found, and the lines of all")
    asked.add_argument("faults", nargs="*", help="parts of the names of those to play; all without any")
    given = asked.parse_args()
    chosen = [fault for fault in FAULTS if fault.short or not given.short]
    chosen = [fault for fault in chosen if not given.faults or any(part in fault.name for part in given.faults)]
    signal.signal(
        signal.SIGTERM, signal.default_int_handler
    )  # everything that was started is stopped then, as after Ctrl-C
    with template() as made:
        play = Play(made, chosen, given.rounds, shares=given.short, verbose=given.verbose)
        try:
            play.all()
        finally:
            play.print_table()
    return 1 if play.red else 0


class Play:
    """This many rounds of each fault, one after the other."""

    def __init__(
        self, made: Template, faults: Sequence[Fault], rounds: int, *, shares: bool = False, verbose: bool = False
    ) -> None:
        """With `shares`, faults of one shape use one world; otherwise each fault has its own."""
        self.red = 0
        """How many rounds failed."""
        self._made = made
        self._left = [fault for fault in faults for _ in range(rounds)]
        self._results: dict[Fault, list[Result]] = {fault: [] for fault in faults}
        self._shares = shares
        self._verbose = verbose

    def all(self) -> None:
        while self._left:
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                runner.run(_interruptible(self._in_one_world()))
            signal.signal(signal.SIGTERM, signal.default_int_handler)  # the loop had its own

    def print_table(self) -> None:
        """Of the rounds that were run."""
        rows = [row(fault, results) for fault, results in self._results.items() if results]
        for line in (TITLES, ["---"] * len(TITLES), *rows):
            print("| " + " | ".join(line) + " |")

    async def _in_one_world(self) -> None:
        """Runs rounds until one loses something, or another world is needed."""
        first = fault = self._left[0]
        told = False
        try:
            async with running(self._made, first.shape) as world:
                kept = True
                while kept and self._left and self._belongs(self._left[0], first):
                    fault, told = self._left[0], False
                    result = await played(fault, world)
                    self._told(fault, result)
                    told = True
                    kept = result.verdict.kept
        except NotPlayed as why:
            print(f"{fault.name} is not played: {why}", flush=True)
            self._left = [each for each in self._left if each is not fault]
        except (NodeFailed, OSError, AssertionError, grpc.aio.AioRpcError, psycopg.Error) as error:
            if told:  # what follows a round is not part of it
                raise
            self._told(fault, broken_off(error))

    def _belongs(self, fault: Fault, first: Fault) -> bool:
        return fault is first or (self._shares and fault.shape == first.shape)

    def _told(self, fault: Fault, result: Result) -> None:
        """Records and reports a round's result."""
        del self._left[0]
        self._results[fault].append(result)
        self.red += any(broken(fault, result))
        _tell(fault, len(self._results[fault]), result, verbose=self._verbose)


async def _interruptible(playing: Coroutine[Any, Any, None]) -> None:
    """SIGTERM stops everything that was started, as Ctrl-C does."""
    task = asyncio.ensure_future(playing)
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    await task


def _tell(fault: Fault, number: int, result: Result, *, verbose: bool) -> None:
    """Reports a round's result."""
    wrong = list(broken(fault, result))
    gap = "-" if result.gap is None else f"{result.gap:.1f} s"
    print(
        f"{time.strftime('%H:%M:%S')} {fault.name}, round {number}: {result.acknowledged} acknowledged, gap {gap},"
        f" {result.seconds:.0f} s{'' if not wrong else '; NOT KEPT'}",
        flush=True,
    )
    for each in wrong:
        print(f"    {each}", flush=True)
    if verbose:
        for name, found in vars(result.verdict).items():
            for each in found[:_SHOWN]:
                print(f"    {name}: {each}")
    if verbose or wrong:
        for line in result.text:
            print(f"    log: {line[:300]}")


if __name__ == "__main__":
    sys.exit(main())

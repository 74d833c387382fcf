"""Plays rounds of each fault, and prints a table for docs/proofs.md: `python -m tests.failover [ROUNDS] [FAULT...]`."""

import argparse
import asyncio
import os
import signal
import sys
import time
from collections.abc import Coroutine, Iterator
from typing import Any

os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")  # before gRPC is loaded, as the server has it
os.environ.setdefault("GRPC_VERBOSITY", "ERROR")  # connections end here all the time

import grpc
import psycopg
import uvloop

from tests.failover.cluster import Template, template
from tests.failover.faults import FAULTS, Fault, NotPlayed
from tests.failover.nodes import NodeFailed
from tests.failover.rounds import TITLES, Result, broken, broken_off, played, row
from tests.failover.world import running


def main() -> int:
    """The exit code: 1 where something promised was not kept."""
    asked = argparse.ArgumentParser(prog="python -m tests.failover", description=__doc__)
    asked.add_argument("--rounds", type=int, default=20)
    asked.add_argument("--short", action="store_true", help="only the few faults that tell the most")
    asked.add_argument("--verbose", action="store_true", help="print all that is found, and the servers' lines")
    asked.add_argument("faults", nargs="*", help="parts of the names of those to play; all without any")
    given = asked.parse_args()
    chosen = [fault for fault in FAULTS if fault.short or not given.short]
    chosen = [fault for fault in chosen if not given.faults or any(part in fault.name for part in given.faults)]
    rows, red = [], 0
    with template() as made:
        for fault in chosen:
            try:
                results = list(_rounds(fault, made, given.rounds, verbose=given.verbose))
            except NotPlayed as why:
                print(f"{fault.name} is not played: {why}")
                continue
            red += sum(1 for result in results if any(broken(fault, result)))
            rows.append(row(fault, results))
    for line in (TITLES, ["---"] * len(TITLES), *rows):
        print("| " + " | ".join(line) + " |")
    return 1 if red else 0


def _rounds(fault: Fault, made: Template, count: int, *, verbose: bool) -> Iterator[Result]:
    """So many rounds in one world, and in a new one after each that lost something."""
    done: list[Result] = []
    while len(done) < count:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_interruptible(_in_one_world(fault, made, count, done, verbose=verbose)))
    yield from done


async def _in_one_world(fault: Fault, made: Template, count: int, done: list[Result], *, verbose: bool) -> None:
    try:
        async with running(made, fault.shape) as world:
            kept = True
            while kept and len(done) < count:
                done.append(await played(fault, world))
                _tell(fault, len(done), done[-1], verbose=verbose)
                kept = done[-1].verdict.kept
    except (NodeFailed, OSError, AssertionError, grpc.aio.AioRpcError, psycopg.Error) as error:
        done.append(broken_off(error))
        _tell(fault, len(done), done[-1], verbose=verbose)


async def _interruptible(playing: Coroutine[Any, Any, None]) -> None:
    """SIGTERM ends all that was started, as Ctrl-C does."""
    task = asyncio.ensure_future(playing)
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    await task


def _tell(fault: Fault, number: int, result: Result, *, verbose: bool) -> None:
    """Says how a round went."""
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
            for each in found:
                print(f"    {name}: {each}")
        for line in result.said:
            print(f"    log: {line[:300]}")


if __name__ == "__main__":
    sys.exit(main())

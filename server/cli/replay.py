"""`backroom demo` and `backroom replay`: a shop's orders, placed as an internal service would place them."""

import asyncio
import sys
from datetime import date
from pathlib import Path

import uvloop
from rich.console import Console

import replay as replaying
from backroom_client import AsyncBackroom, Key
from server import settings
from server.cli.confirmation import ask_before_writing, reasons_to_ask
from server.cli.service_key import service_key
from server.cli.target_server import target_server, tls_of
from server.process.failure import Failure
from server.settings import Settings


def demo(*, yes: bool = False) -> None:
    """Replays the day that ships with the package; `yes` lets it write into what may be somebody else's."""
    _run(replaying.first_day(), yes=yes)


def replay(path: Path, first: date | None, last: date | None, *, yes: bool = False) -> None:
    """Replays a file's orders from the first day to the last; `yes` as for the demo."""
    try:
        dataset = replaying.read_dataset(path, first, last)
    except replaying.DatasetError as error:
        raise Failure(str(error)) from None
    _run(dataset, yes=yes)


def _run(dataset: replaying.Dataset, *, yes: bool) -> None:
    """Replays a selection and prints what became of it; exits with 1 where that is not what the file asks for."""
    console = Console(highlight=False)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        try:
            outcome = runner.run(_replayed(settings.read(), dataset, console, yes=yes))
        except replaying.ReplayFailed as error:
            raise Failure(str(error)) from None
    replaying.print_outcome(console, outcome)
    if not outcome.complete:
        sys.exit(1)


async def _replayed(
    configured: Settings, dataset: replaying.Dataset, console: Console, *, yes: bool
) -> replaying.Outcome:
    def agreed(answers: bool) -> None:
        where = f"the server on {configured.grpc_address}" if answers else "a server of its own"
        reasons = reasons_to_ask(configured, configured.grpc_address, answers=answers)
        ask_before_writing(f"this writes products, orders and payments through {where}", reasons, yes=yes)

    async with target_server(configured, agreed) as address:
        tls = tls_of(configured)
        key = Key(await service_key(configured, address, tls))
        async with AsyncBackroom(address, key, tls=tls) as backroom:
            with replaying.progress_on(console) as progress:
                return await replaying.replay(backroom, dataset, progress)

"""`backroom demo` and `backroom replay`: a shop's orders, placed as an internal service would place them."""

import asyncio
import sys
from collections.abc import Iterator, Sequence
from datetime import date
from pathlib import Path

import uvloop
from rich.console import Console

import replay as replaying
from backroom.events.v1.event_queries_pb2 import QueryPeriod, TimeSeries
from backroom_client import AsyncBackroom, Key
from server import settings
from server.cli.confirmation import confirm_writing, reasons_to_confirm
from server.cli.service_key import service_key
from server.cli.target_server import target_server, tls_of
from server.process.failure import Failure
from server.settings import Settings


def demo(*, yes: bool = False) -> None:
    """Replays the day that ships with the package, and then shows the other modules.

    `yes` lets it write into what may be somebody else's.
    """
    _run(replaying.first_day(), yes=yes, with_more=True)


def replay(path: Path, first: date | None, last: date | None, *, yes: bool = False) -> None:
    """Replays a file's orders from the first day to the last; `yes` as for the demo."""
    try:
        dataset = replaying.read_dataset(path, first, last)
    except replaying.DatasetError as error:
        raise Failure(str(error)) from None
    _run(dataset, yes=yes, with_more=False)


def _run(dataset: replaying.Dataset, *, yes: bool, with_more: bool) -> None:
    """Replays a selection and prints what became of it; exits with 1 where that is not what the file says."""
    console = Console(highlight=False)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        try:
            complete = runner.run(_replayed(settings.read(), dataset, console, yes=yes, with_more=with_more))
        except replaying.ReplayFailed as error:
            raise Failure(str(error)) from None
    if not complete:
        sys.exit(1)


async def _replayed(
    configured: Settings, dataset: replaying.Dataset, console: Console, *, yes: bool, with_more: bool
) -> bool:
    """Whether all of it went as it should; prints what became of it."""

    def agreed(answers: bool) -> None:
        where = f"the server on {configured.grpc_address}" if answers else "a server of its own"
        reasons = reasons_to_confirm(configured, configured.grpc_address, answers=answers)
        more = [show.writes for show in replaying.shows(_drawn)] if with_more else []
        *most, last = ["products", "orders", "payments", *more]
        written = f"{', '.join(most)} and {last}"
        confirm_writing(f"this writes {written} through {where}", reasons, yes=yes)

    async with target_server(configured, agreed) as address:
        tls = tls_of(configured)
        key = Key(await service_key(configured, address, tls))
        async with AsyncBackroom(address, key, tls=tls) as backroom:
            with replaying.progress_on(console) as progress:
                outcome = await replaying.replay(backroom, dataset, progress)
        replaying.print_outcome(console, outcome)
        shown = not with_more or await _more_shown(configured, address, console)
        return outcome.complete and shown


async def _more_shown(configured: Settings, address: str, console: Console) -> bool:
    """Whether all of it went as it should, or cannot be shown here; prints what became of each."""
    tls = tls_of(configured)
    went_well = True
    for show in replaying.shows(_drawn):
        key = Key(await service_key(configured, address, tls, role=show.role))
        async with AsyncBackroom(address, key, tls=tls) as backroom:
            went_well &= await show.run(backroom, key, console)
    return went_well


def _drawn(title: str, period: QueryPeriod, series: Sequence[TimeSeries], width: int) -> Iterator[str]:
    """As `backroom events chart` draws it."""
    from server.cli.events_chart import is_plain
    from server.events.drawing import lines_of
    from server.events.messages.charts import chart

    return lines_of(chart(title, period, (), series), width=width, plain=is_plain())

"""What the demo shows once its orders are placed, one module after the other."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any, Generic, Protocol, TypeVar

from rich.console import Console

from backroom_client import AsyncBackroom, Key
from replay.board import clear_board
from replay.booking import book_day
from replay.calling import NotShown
from replay.counting import CountedDay, count_day
from replay.dataset import first_day
from replay.publishing import publish_articles
from replay.report import (
    Draw,
    print_booked,
    print_cleared,
    print_counted,
    print_published,
    print_rolled_out,
    print_uploaded,
)
from replay.rollout import roll_out
from replay.uploading import upload_files


class _Ended(Protocol):
    @property
    def complete(self) -> bool:
        """Whether all went as it should."""
        ...


Result = TypeVar("Result", bound=_Ended)


@dataclass(frozen=True)
class Show(Generic[Result]):
    """What is done with one module, and how it is reported."""

    writes: str
    """What it leaves in the database."""
    act: Callable[[AsyncBackroom, Key], Awaitable[Result]]
    """Raises NotShown where the server cannot show it."""
    report: Callable[[Console, Result | NotShown], None]
    role: str = "manager"
    """Of the account that may do it."""

    async def run(self, backroom: AsyncBackroom, key: Key, console: Console) -> bool:
        """Whether it went as it should, or cannot be shown here."""
        try:
            result = await self.act(backroom, key)
        except NotShown as not_shown:
            self.report(console, not_shown)
            return True
        self.report(console, result)
        return result.complete


def shows(draw: Draw) -> Sequence[Show[Any]]:
    """In their order; `draw` draws a time series in a terminal."""
    return (
        Show("bookings", lambda backroom, _: book_day(backroom), print_booked),
        Show("tasks", lambda backroom, _: clear_board(backroom), print_cleared),
        Show("articles", lambda backroom, _: publish_articles(backroom), print_published),
        Show("events", _count, partial(print_counted, draw), role="service"),
        Show("files", lambda backroom, _: upload_files(backroom), print_uploaded),
        Show("a flag", roll_out, print_rolled_out),
    )


async def _count(backroom: AsyncBackroom, _: Key) -> CountedDay:
    return await count_day(backroom, first_day().orders, datetime.now(UTC).date())

"""A replay as a person sees it: its progress, and its final figures."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from decimal import Decimal

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bars
from rich.table import Table

from backroom.events.v1.event_queries_pb2 import QueryPeriod, TimeSeries
from replay.board import COLUMNS, ClearedBoard
from replay.booking import PLACES, BookedDay
from replay.calling import NotShown, Progress, Step
from replay.counting import CountedDay
from replay.figures import CURRENCY, Figures, Outcome
from replay.publishing import QUERY, PublishedArticles
from replay.returns import Matching, Reason
from replay.rollout import FIRST_PERCENT, FLAG_KEY, GROWN_PERCENT, RolledOut
from replay.uploading import UploadedFiles

_CHART_WIDTH = 100
"""In characters, at most."""
Draw = Callable[[str, QueryPeriod, Sequence[TimeSeries], int], Iterable[str]]
"""Draws time series under a title, in lines of so many characters."""


@contextmanager
def progress_on(console: Console) -> Iterator[Progress]:
    """A progress bar per step on a terminal; elsewhere a few plain lines, which suit a log."""
    if not console.is_terminal:
        yield _LineProgress(console)
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Bars(*columns, console=console) as bars:
        yield _BarProgress(bars)


class _BarProgress:
    def __init__(self, bars: Bars) -> None:
        self._bars = bars
        self._task: TaskID | None = None

    def begin(self, step: Step, total: int) -> None:
        self._task = self._bars.add_task(step.value, total=total)

    def advance(self, count: int = 1) -> None:
        if self._task is not None:
            self._bars.advance(self._task, count)


class _LineProgress:
    """One line when a step is done, and up to four during the orders and their payments."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._step = Step.IMPORT
        self._total = 0
        self._done = 0

    def begin(self, step: Step, total: int) -> None:
        self._step, self._total, self._done = step, total, 0

    def advance(self, count: int = 1) -> None:
        parts = 5 if self._step in (Step.PLACE, Step.PAY) else 1
        before = self._done * parts // self._total
        self._done += count
        if self._done * parts // self._total > before:
            _say(self._console, f"{self._step.value}: {self._done:,} of {self._total:,}")


def print_outcome(console: Console, outcome: Outcome) -> None:
    """Prints the figures, the rates, the refusals, and what else the file contains."""
    console.print(_table(outcome.figures))
    orders, lines = outcome.orders_per_second, outcome.lines_per_second
    _say(console, f"{orders:,.0f} orders/s, {lines:,.0f} lines/s; {outcome.seconds:,.1f} s in all")
    _say(console, f"write-offs booked: {outcome.write_offs:,}, {outcome.written_off_units:,} units")
    _say_money(console, outcome)
    if outcome.not_replayed.rows_without_units:
        _say(console, f"not replayed: {outcome.not_replayed.rows_without_units:,} rows of orders with the quantity 0")
    for refused in outcome.refusals:
        _say(console, f"refused: {refused.count:,} x {refused.what}, {refused.reason}; first {refused.example}", "red")
    if outcome.figures != outcome.expected:
        _say(console, "these are not the figures of the file, which are:", "red")
        console.print(_table(outcome.expected))


def print_booked(console: Console, day: BookedDay | NotShown) -> None:
    """Prints how many of a day's places are booked, and who was refused why; or why it is not shown."""
    if isinstance(day, NotShown):
        _say(console, f"no slots booked: {day}")
        return
    places = f"{sum(day.booked.values()):,} of {day.slots * PLACES:,} places, {PLACES} in each of {day.slots} slots"
    _say(console, f"delivery slots booked: {places}, by {day.callers:,} callers at once")
    reasons = ", ".join(f"{count:,} x {reason}" for reason, count in sorted(day.refused.items()))
    _say(console, f"delivery slots refused: {reasons or 'none'}")
    if not day.complete:
        _say(console, "a slot has more or fewer bookings than places, or a caller was not answered", "red")


def print_cleared(console: Console, board: ClearedBoard | NotShown) -> None:
    """Prints how many tasks went over the board, or why it is not shown."""
    if isinstance(board, NotShown):
        _say(console, f"no tasks moved: {board}")
        return
    moves = f"{board.moves:,} moves over {len(COLUMNS)} columns"
    _say(
        console, f"tasks done: {board.done:,} of {len(board.tasks):,}, by {moves}, each with one entry in the activity"
    )
    if not board.complete:
        _say(console, "a task is not done, was not moved once to each column, or shares its rank", "red")


def print_published(console: Console, published: PublishedArticles | NotShown) -> None:
    """Prints what readers see of the articles, or why it is not shown."""
    if isinstance(published, NotShown):
        _say(console, f"no articles published: {published}")
        return
    count, latest = len(published.articles), published.latest_revision
    seen = f"readers see revision 1 while {latest} is being written"
    found = f'"{QUERY}" finds {published.found:,} of {count:,}'
    _say(console, f"articles published: {count:,}, an article and its translation, together; {seen}; {found}")
    if not published.complete:
        _say(console, "the articles are not live as they were scheduled, or are not found", "red")


def print_counted(draw: Draw, console: Console, day: CountedDay | NotShown) -> None:
    """Prints what became of a day's order lines as events, and their revenue by hour; or why it is not shown."""
    if isinstance(day, NotShown):
        _say(console, f"no events counted: {day}")
        return
    outcomes = f"{day.stored:,} stored, {day.known:,} known already"
    _say(console, f"events sent: {day.sent:,}, an order line each, as of yesterday: {outcomes}")
    _say(console, f"events counted: {day.counted:,}, {day.revenue:,.2f} {CURRENCY} by hour")
    for line in draw(f"Revenue in {CURRENCY}", day.period, [day.by_hour], min(console.width, _CHART_WIDTH)):
        _say(console, line)
    if not day.complete:
        _say(console, "an event was not stored or not counted once, or the revenue is not that of the events", "red")


def print_uploaded(console: Console, uploaded: UploadedFiles | NotShown) -> None:
    """Prints what became of the files, or why it is not shown."""
    if isinstance(uploaded, NotShown):
        _say(console, f"no file uploaded: {uploaded}")
        return
    picture, eicar = uploaded.picture, uploaded.eicar
    said = f"file uploaded: a picture of {picture.size_bytes:,} bytes, over a line that broke halfway"
    if uploaded.thumbnail is not None:
        said += "; its thumbnail is {} x {} pixels".format(*uploaded.thumbnail)
    _say(console, said)
    if not uploaded.scanner:
        _say(console, "files wait, and none is served: this server has no scanner, see BACKROOM_FILES_SCANNER")
    elif uploaded.scanner == "none":
        _say(console, "nothing was scanned: BACKROOM_FILES_SCANNER is none, and files are served all the same")
    else:
        _say(console, f"the EICAR test file is refused: {eicar.verdict.detail}, found by {uploaded.scanner}")
    if not uploaded.complete:
        _say(console, "a file is not served or refused as it must be", "red")


def print_rolled_out(console: Console, rolled_out: RolledOut | NotShown) -> None:
    """Prints who had the flag at each step, or why it is not shown."""
    if isinstance(rolled_out, NotShown):
        _say(console, f"no flag shown: {rolled_out}")
        return
    first, grown, back = rolled_out.first, rolled_out.grown, rolled_out.rolled_back
    kept, had = len(first & grown), f"on for {len(first):,} of {rolled_out.people:,} people"
    keeping = f"among them {kept:,} of the {len(first):,} who had it"
    if back is None:
        _say(console, f"flag evaluated: {FLAG_KEY}, made by an earlier run, is {had}")
        _say(console, f"flag tried: at {GROWN_PERCENT} % it would be on for {len(grown):,}, {keeping}")
    else:
        _say(console, f"flag evaluated: {FLAG_KEY} at {FIRST_PERCENT} %, {had}")
        _say(console, f"flag grown: to {GROWN_PERCENT} %, on for {len(grown):,}, {keeping}")
        same = f"among them {len(first & back):,} of the first {len(first):,}"
        _say(console, f"flag rolled back: on for {len(back):,}, {same}")
    if not rolled_out.complete:
        _say(console, "somebody lost the flag as it grew, or the rollback left other people than at first", "red")


def _say_money(console: Console, outcome: Outcome) -> None:
    """What was paid, and what was refunded; nothing without a payment provider."""
    every, matched = outcome.matching.all, outcome.matching.matched
    adjustments = f"{outcome.not_replayed.adjustments:,} ledger adjustments"
    if outcome.paid is None:
        _say(console, "not paid: this server has no payment provider")
        returns = f"{every.invoices:,} returns with {every.lines:,} lines and {every.units:,} units"
        _say(console, f"not replayed: {returns}, {adjustments}")
        return
    _say(console, f"paid: {outcome.paid.orders:,} orders, {exact(outcome.paid.amount)} {CURRENCY}")
    whole = f"{matched.invoices:,} of {every.invoices:,} invoices matched whole"
    parts = f"{matched.lines:,} of {every.lines:,} lines, {matched.units:,} of {every.units:,} units"
    _say(console, f"returns: {whole}, {parts}; {exact(outcome.paid_back)} {CURRENCY} paid back")
    if unmatched := list(_unmatched(outcome.matching)):
        _say(console, f"not matched: {'; '.join(unmatched)}")
    _say(console, f"not replayed: {adjustments}")


def _unmatched(matching: Matching) -> Iterator[str]:
    for reason in Reason:
        lines, units = matching.lines_and_units(reason)
        if lines:
            yield f"{_counted(lines, 'line')}, {_counted(units, 'unit')} {reason.value}"


def _counted(count: int, what: str) -> str:
    return f"{count:,} {what}" if count == 1 else f"{count:,} {what}s"


def _say(console: Console, text: str, style: str | None = None) -> None:
    """Prints a line unchanged: text in brackets is no markup, and only the terminal wraps it."""
    console.print(text, style=style, markup=False, highlight=False, soft_wrap=True)


def _table(figures: Figures) -> Table:
    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_column()
    table.add_column(justify="right")
    table.add_row("orders", f"{figures.orders:,}")
    table.add_row("lines", f"{figures.lines:,}")
    table.add_row("units", f"{figures.units:,}")
    table.add_row(f"revenue, {CURRENCY}", exact(figures.revenue))
    table.add_row("products sold", f"{figures.products:,}")
    return table


def exact(amount: Decimal) -> str:
    """An amount with thousands separators, every significant decimal, and at least two."""
    whole, _, decimals = f"{amount:,f}".partition(".")
    return f"{whole}.{decimals.rstrip('0'):0<2}"

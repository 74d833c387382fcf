"""What a person sees of a replay."""

import io
from decimal import Decimal

import pytest
from rich.console import Console

from server.cli.replay.dataset import NotReplayed
from server.cli.replay.figures import Figures, Outcome, Refusals
from server.cli.replay.report import exact, print_outcome, progress_on
from server.cli.replay.run import Step

YEAR = Figures(20_725, 531_282, 5_660_978, Decimal("10655622.484000000"), 3940)
LEFT = NotReplayed(3836, 9288, 277_574, 3, 0)


def printed(outcome: Outcome) -> list[str]:
    """The lines on something that is no terminal, with one blank between words."""
    console = Console(file=io.StringIO(), width=60)
    print_outcome(console, outcome)
    assert isinstance(console.file, io.StringIO)
    return [" ".join(line.split()) for line in console.file.getvalue().splitlines()]


def test_the_closing_figures_are_exact_and_name_what_was_left_out() -> None:
    """Nothing is rounded, and nothing that the file holds goes unsaid."""
    outcome = Outcome(YEAR, YEAR, (), 1336, 206_957, LEFT, seconds=60.04, placing_seconds=50.0)
    assert printed(outcome) == [
        "orders 20,725",
        "lines 531,282",
        "units 5,660,978",
        "revenue, GBP 10,655,622.484",
        "products sold 3,940",
        "414 orders/s, 10,626 lines/s; 60.0 s in all",
        "write-offs booked: 1,336, 206,957 units",
        "not replayed: 3,836 returns with 9,288 lines and 277,574 units, 3 ledger adjustments",
    ]
    assert outcome.complete


def test_refusals_and_wrong_figures_are_told() -> None:
    """A replay that fell short says why, and by how much; its words are no markup."""
    refused = Refusals("order", "OUT_OF_STOCK", 2, "order 536365: [bold]5 of 6 are there")
    fell_short = Figures(1, 1, 1, Decimal("0.5"), 1)
    outcome = Outcome(fell_short, YEAR, (refused,), 0, 0, NotReplayed(0, 0, 0, 0, 7), seconds=1, placing_seconds=1)
    lines = printed(outcome)
    assert "revenue, GBP 0.50" in lines
    assert "refused: 2 x order, OUT_OF_STOCK; first order 536365: [bold]5 of 6 are there" in lines
    assert "not replayed: 7 rows of orders with the quantity 0" in lines
    assert lines[-6:] == ["these are not the figures of the file, which are:", *printed(replaced(YEAR))[:5]]
    assert not outcome.complete


def replaced(figures: Figures) -> Outcome:
    return Outcome(figures, figures, (), 0, 0, LEFT, seconds=1, placing_seconds=1)


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        ("58960.790000000", "58,960.79"),
        ("10655622.484", "10,655,622.484"),
        ("0", "0.00"),
        ("1E+3", "1,000.00"),
        ("0.000000001", "0.000000001"),
    ],
)
def test_an_amount_is_shown_with_every_decimal_that_counts(amount: str, text: str) -> None:
    """Two at least, as people write money."""
    assert exact(Decimal(amount)) == text


def test_without_a_terminal_progress_is_a_few_plain_lines() -> None:
    """A log of a year's replay stays short; a step with nothing to do says nothing."""
    console = Console(file=io.StringIO(), width=60)
    with progress_on(console) as progress:
        for step, total in ((Step.IMPORT, 40), (Step.RECEIVE, 40), (Step.PLACE, 1000), (Step.WRITE_OFF, 0)):
            progress.begin(step, total)
            for _ in range(total):
                progress.advance()
    assert isinstance(console.file, io.StringIO)
    assert console.file.getvalue().splitlines() == [
        "products imported: 40 of 40",
        "products stocked: 40 of 40",
        "orders placed: 200 of 1,000",
        "orders placed: 400 of 1,000",
        "orders placed: 600 of 1,000",
        "orders placed: 800 of 1,000",
        "orders placed: 1,000 of 1,000",
    ]


def test_on_a_terminal_progress_is_a_bar_a_step() -> None:
    """It ends with all that was to be done."""
    console = Console(file=io.StringIO(), width=60, force_terminal=True)
    with progress_on(console) as progress:
        progress.begin(Step.PLACE, 3)
        progress.advance(3)
    assert isinstance(console.file, io.StringIO)
    assert "3/3" in console.file.getvalue()

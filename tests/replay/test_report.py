"""The output of a replay."""

import io
from dataclasses import replace
from datetime import datetime
from decimal import Decimal

import pytest
from rich.console import Console

from replay.calling import NotShown, Step
from replay.dataset import NotReplayed, Return
from replay.figures import Figures, Outcome, Paid, Refusals
from replay.report import exact, print_outcome, print_rolled_out, progress_on
from replay.returns import MatchedReturn, Matching, Reason, Unmatched
from replay.rollout import RolledOut

YEAR = Figures(20_725, 531_282, 5_660_978, Decimal("10655622.484000000"), 3940)
MORNING = datetime(2010, 12, 1, 8, 26)
FIRST, *OTHERS = [Return(f"C{number // 2}", MORNING, "A", "TEA", 1000, Decimal(1)) for number in range(6)]
SOME_BACK = Matching(
    [FIRST, *OTHERS],
    [
        MatchedReturn(FIRST, "1", 1000),
        MatchedReturn(OTHERS[0], "2", 900),
        MatchedReturn(OTHERS[0], "1", 100),
        MatchedReturn(OTHERS[1], "1", 998),
    ],
    [
        Unmatched(OTHERS[1], 1, Reason.NEVER_SOLD),
        Unmatched(OTHERS[2], 1000, Reason.NEVER_SOLD),
        Unmatched(OTHERS[3], 1, Reason.NO_CUSTOMER),
        Unmatched(OTHERS[4], 1000, Reason.MORE_THAN_SOLD),
    ],
)
NOT_MATCHED = (
    "not matched: 1 line, 1 unit without a customer; 2 lines, 1,001 units never sold to that customer at that price"
    " before; 1 line, 1,000 units more than were sold"
)
NONE_BACK = Matching([], [], [])
WHOLE = Outcome(
    figures=YEAR,
    expected=YEAR,
    paid=Paid(20_725, Decimal("10655622.484000000")),
    matching=SOME_BACK,
    paid_back=Decimal("464214.27"),
    refusals=(),
    write_offs=1336,
    written_off_units=206_957,
    not_replayed=NotReplayed(3, 0),
    seconds=60.04,
    placing_seconds=50.0,
)


def printed(outcome: Outcome) -> list[str]:
    """The output without a terminal, with single spaces between words."""
    console = Console(file=io.StringIO(), width=60)
    print_outcome(console, outcome)
    assert isinstance(console.file, io.StringIO)
    return [" ".join(line.split()) for line in console.file.getvalue().splitlines()]


def test_the_final_figures_are_exact_and_include_what_was_left_out() -> None:
    """Nothing is rounded, and everything in the file is reported."""
    assert printed(WHOLE) == [
        "orders 20,725",
        "lines 531,282",
        "units 5,660,978",
        "revenue, GBP 10,655,622.484",
        "products sold 3,940",
        "414 orders/s, 10,626 lines/s; 60.0 s in all",
        "write-offs booked: 1,336, 206,957 units",
        "paid: 20,725 orders, 10,655,622.484 GBP",
        "returns: 1 of 3 invoices matched whole, 2 of 6 lines, 2,998 of 6,000 units; 464,214.27 GBP paid back",
        NOT_MATCHED,
        "not replayed: 3 ledger adjustments",
    ]
    assert WHOLE.complete


def test_a_server_without_a_provider_is_reported_and_complete() -> None:
    """What it leaves out is counted."""
    outcome = replace(WHOLE, paid=None, paid_back=Decimal(0))
    assert printed(outcome)[7:] == [
        "not paid: this server has no payment provider",
        "not replayed: 3 returns with 6 lines and 6,000 units, 3 ledger adjustments",
    ]
    assert outcome.complete


def test_a_selection_without_returns_says_so_in_one_line() -> None:
    """There is nothing that could not be matched."""
    lines = printed(replace(WHOLE, matching=NONE_BACK, paid_back=Decimal(0)))
    assert lines[8:] == [
        "returns: 0 of 0 invoices matched whole, 0 of 0 lines, 0 of 0 units; 0.00 GBP paid back",
        "not replayed: 3 ledger adjustments",
    ]


def test_money_that_is_missing_makes_a_replay_incomplete() -> None:
    """To the last digit, as with what was sold."""
    assert not replace(WHOLE, paid=Paid(20_725, Decimal("10655622.483"))).complete
    assert not replace(WHOLE, paid=Paid(20_724, Decimal("10655622.484"))).complete


def test_refusals_and_wrong_figures_are_reported() -> None:
    """An incomplete replay says why, and by how much; its text is not interpreted as markup."""
    refused = Refusals("order", "OUT_OF_STOCK", 2, "order 536365: [bold]5 of 6 are there")
    fell_short = Figures(1, 1, 1, Decimal("0.5"), 1)
    outcome = replace(WHOLE, figures=fell_short, refusals=(refused,), not_replayed=NotReplayed(0, 7))
    lines = printed(outcome)
    assert "revenue, GBP 0.50" in lines
    assert "refused: 2 x order, OUT_OF_STOCK; first order 536365: [bold]5 of 6 are there" in lines
    assert "not replayed: 7 rows of orders with the quantity 0" in lines
    assert lines[-6:] == ["these are not the figures of the file, which are:", *printed(WHOLE)[:5]]
    assert not outcome.complete


FIRST_THREE, GROWN_FIVE = frozenset("abc"), frozenset("abcde")


@pytest.mark.parametrize(
    ("rolled_out", "lines"),
    [
        (
            RolledOut(1000, FIRST_THREE, GROWN_FIVE, FIRST_THREE),
            [
                "flag evaluated: express-checkout at 10 %, on for 3 of 1,000 people",
                "flag grown: to 50 %, on for 5, among them 3 of the 3 who had it",
                "flag rolled back: on for 3, among them 3 of the first 3",
            ],
        ),
        (
            RolledOut(1000, FIRST_THREE, GROWN_FIVE, None),
            [
                "flag evaluated: express-checkout, made by an earlier run, is on for 3 of 1,000 people",
                "flag tried: at 50 % it would be on for 5, among them 3 of the 3 who had it",
            ],
        ),
        (
            RolledOut(1000, FIRST_THREE, frozenset("bcdef"), frozenset("bcd")),
            [
                "flag evaluated: express-checkout at 10 %, on for 3 of 1,000 people",
                "flag grown: to 50 %, on for 5, among them 2 of the 3 who had it",
                "flag rolled back: on for 3, among them 2 of the first 3",
                "somebody lost the flag as it grew, or the rollback left other people than at first",
            ],
        ),
        (NotShown("[PERMISSION_MISSING]: flags.read"), ["no flag shown: [PERMISSION_MISSING]: flags.read"]),
    ],
)
def test_a_flag_is_told_step_by_step(rolled_out: RolledOut | NotShown, lines: list[str]) -> None:
    """Whom it reached, and who kept it; who lost it is not passed over."""
    console = Console(file=io.StringIO(), width=60)
    print_rolled_out(console, rolled_out)
    assert isinstance(console.file, io.StringIO)
    assert console.file.getvalue().splitlines() == lines


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
def test_an_amount_is_shown_with_every_significant_decimal(amount: str, text: str) -> None:
    """Two at least, as people write money."""
    assert exact(Decimal(amount)) == text


def test_without_a_terminal_progress_is_a_few_plain_lines() -> None:
    """The log of a year's replay stays short; a step with nothing to do prints nothing."""
    console = Console(file=io.StringIO(), width=60)
    with progress_on(console) as progress:
        for step, total in ((Step.IMPORT, 40), (Step.RECEIVE, 40), (Step.PLACE, 1000), (Step.WRITE_OFF, 0)):
            progress.begin(step, total)
            for _ in range(total):
                progress.advance()
        progress.begin(Step.PAY, 1000)
        for count in (0, 700, 0, 300):
            progress.advance(count)
    assert isinstance(console.file, io.StringIO)
    assert console.file.getvalue().splitlines() == [
        "products imported: 40 of 40",
        "products stocked: 40 of 40",
        "orders placed: 200 of 1,000",
        "orders placed: 400 of 1,000",
        "orders placed: 600 of 1,000",
        "orders placed: 800 of 1,000",
        "orders placed: 1,000 of 1,000",
        "orders paid: 700 of 1,000",
        "orders paid: 1,000 of 1,000",
    ]


def test_on_a_terminal_progress_is_one_bar_per_step() -> None:
    """It ends at the full count."""
    console = Console(file=io.StringIO(), width=60, force_terminal=True)
    with progress_on(console) as progress:
        progress.begin(Step.PLACE, 3)
        progress.advance(3)
    assert isinstance(console.file, io.StringIO)
    assert "3/3" in console.file.getvalue()

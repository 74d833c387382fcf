"""What becomes of the rows of a bench: ratios, verdicts, the table, the list, the document and the picture."""

import json
from collections.abc import Mapping, Sequence
from datetime import date
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from bench.document import BEGIN, END, MarkersMissing, Occasion, leave
from bench.picture import draw
from bench.report import listed, markdown, rounded, table
from bench.rounds import CallsFailed, whole
from bench.row import Row, row
from load.sample import Sample

SHORT = Occasion(date(2026, 5, 4), long=False, rounds=2, seconds=2.0, postgres="PostgreSQL 18.4")
LONG = Occasion(date(2026, 5, 5), long=True, rounds=5, seconds=6.0, postgres="PostgreSQL 18.4")


@pytest.fixture
def rows() -> Sequence[Row]:
    return [
        row("PlaceOrder", "orders/s", [(3000.0, 250.0), (2800.0, 200.0), (3100.0, 310.0)], goal=10),
        row("CPU of PlaceOrder", "ms", [(0.5, 0.45)], goal=1, lower_is_better=True),
        row("PostgreSQL", "ms", [(0.2, 0.8)], goal=None, lower_is_better=True),
    ]


@pytest.fixture
def document(tmp_path: Path) -> Path:
    path = tmp_path / "performance.md"
    path.write_text(f"# Speed\n\n{BEGIN}\n{END}\n\nFindings\n")
    return path


def test_a_ratio_is_the_median_of_the_rounds_own() -> None:
    """It is not formed from the medians, so that what falls on one round falls out of its ratio."""
    made = row("PlaceOrder", "orders/s", [(3000.0, 250.0), (2800.0, 200.0), (3100.0, 310.0)], goal=12)
    assert (made.ours, made.peer, made.ratio) == (3000.0, 250.0, 12.0)
    assert made.spread == pytest.approx((14 - 10) / 12)
    assert made.good


def test_a_cost_is_good_where_it_is_below_the_limit() -> None:
    """The ratio is the limit's over ours, and a round alone has no spread."""
    dear, cheap = (row("CPU", "ms", [(cost, 0.45)], goal=1, lower_is_better=True) for cost in (0.5, 0.3))
    assert [dear.ratio, cheap.ratio] == pytest.approx([0.9, 1.5])
    assert (dear.good, cheap.good, dear.spread) == (False, True, 0.0)


@pytest.mark.parametrize(
    ("figure", "text"), [(12345.6, "12,346"), (45.67, "45.7"), (2.345, "2.35"), (0.0449, "0.045"), (0.0, "0.00")]
)
def test_a_figure_is_shown_with_the_digits_that_count(figure: float, text: str) -> None:
    """Small ones keep three after the point, large ones none."""
    assert rounded(figure) == text


def test_the_table_marks_what_missed_its_goal(rows: Sequence[Row]) -> None:
    """A row without a goal has no verdict."""
    out = StringIO()
    Console(width=120, file=out).print(table(rows))
    lines = [line.split() for line in out.getvalue().splitlines() if line.strip()]
    assert [line[-1] for line in lines[-3:]] == ["good", "missed", "0%"]


def test_the_list_holds_the_rows_with_a_goal_alone(rows: Sequence[Row]) -> None:
    """A ratio at or above its goal is good in each entry."""
    entries = json.loads(listed(rows))
    assert [set(entry) for entry in entries] == [{"work", "ours", "peer", "ratio", "goal", "spread"}] * 2
    assert entries[0]["work"] == "PlaceOrder, orders/s"
    assert [entry["ratio"] >= entry["goal"] for entry in entries] == [True, False]


def test_the_document_shows_the_last_long_run(document: Path, rows: Sequence[Row], tmp_path: Path) -> None:
    """A short run is written where no long one stands; the list is of the last run of either form."""
    last = tmp_path / "last.json"
    for some in (rows[:1], rows[:2]):
        leave(some, SHORT, last, document)
        assert "2026-05-04, the short form" in document.read_text()
        assert markdown(some) in document.read_text()
    leave(rows, LONG, last, document)
    shown = document.read_text()
    assert "2026-05-05, the long form" in shown
    assert "2026-05-04" not in shown
    assert shown.count(BEGIN) == shown.count(END) == 1
    assert shown.startswith("# Speed\n")
    assert shown.endswith("\n\nFindings\n")
    assert markdown(rows) in shown
    leave(rows[:1], SHORT, last, document)
    assert document.read_text() == shown
    assert len(json.loads(last.read_text())) == 1


def test_a_document_without_a_place_for_the_table_is_refused(rows: Sequence[Row], tmp_path: Path) -> None:
    """Nothing is guessed, and nothing overwritten."""
    document = tmp_path / "performance.md"
    document.write_text(f"# Speed\n{END}\n{BEGIN}\n")
    with pytest.raises(MarkersMissing):
        leave(rows, LONG, tmp_path / "last.json", document)
    assert document.read_text() == f"# Speed\n{END}\n{BEGIN}\n"


def test_the_picture_is_the_same_for_the_same_rows(rows: Sequence[Row], tmp_path: Path) -> None:
    """It names each row that has a goal, and holds no date."""
    one, other = tmp_path / "one.svg", tmp_path / "other.svg"
    draw(rows, one)
    draw(rows, other)
    assert one.read_bytes() == other.read_bytes()
    text = one.read_text()
    assert "PlaceOrder, orders/s" in text
    assert "PostgreSQL" not in text
    assert "dc:date" not in text


@pytest.mark.parametrize(
    ("latencies", "refusals", "failures"),
    [([0.1], [0.01], {}), ([0.1], [], {"ConnectionError: gone": 2}), ([], [], {})],
)
def test_a_window_in_which_not_all_was_answered_well_counts_for_nothing(
    latencies: Sequence[float], refusals: Sequence[float], failures: Mapping[str, int]
) -> None:
    """Refusals and failures are fast, and would pass for speed."""
    with pytest.raises(CallsFailed, match=f"{len(refusals)} refused, failed: {'2 of Conn' if failures else 0}"):
        whole(Sample(1.0, latencies, refusals, 0, failures, {}))


def test_a_window_in_which_all_was_answered_well_counts() -> None:
    """It is handed on as it is."""
    sample = Sample(1.0, [0.1], [], 0, {}, {})
    assert whole(sample) is sample

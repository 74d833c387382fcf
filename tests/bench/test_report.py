"""A bench's results: ratios, verdicts, the tables, the list, the document and the picture."""

import json
import re
from collections.abc import Mapping, Sequence
from datetime import date
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from bench.document import PICTURE, TABLES, Files, MarkersMissing, Occasion, begin, end, leave
from bench.figures import (
    BACKROOM,
    ECHO,
    GET_ORDER,
    GET_PRODUCT,
    PGBENCH,
    PLACE_ORDER,
    USUAL,
    Figures,
    Latency,
    Throughput,
)
from bench.picture import draw
from bench.report import goals, listed, others, rounded, table
from bench.rounds import CallsFailed, whole
from bench.row import LIMIT, Row, row
from load.sample import Sample

SHORT = Occasion(date(2026, 5, 4), long=False, rounds=2, seconds=2.0, postgres="PostgreSQL 18.4")
LONG = Occasion(date(2026, 5, 5), long=True, rounds=5, seconds=6.0, postgres="PostgreSQL 18.4")

SMALLEST_PIXELS = 11
PIXELS_OF_A_PAGE = 900
"""The document's page shows a picture no wider than this."""

RATES = [
    Throughput(PLACE_ORDER, BACKROOM, 1552.4),
    Throughput(PLACE_ORDER, USUAL, 139.97),
    Throughput(PLACE_ORDER, PGBENCH, 947.9),
    Throughput(PLACE_ORDER, ECHO, 5012.0),
    Throughput(GET_ORDER, BACKROOM, 2257.7),
    Throughput(GET_PRODUCT, BACKROOM, 2335.9),
]
LATENCIES = [
    Latency(USUAL, 64, 450.0, 547.4),
    Latency(USUAL, 1, 16.0, 30.0),
    Latency(BACKROOM, 1, 6.0, 9.0),
    Latency(BACKROOM, 64, 41.0, 126.8),
]


@pytest.fixture
def rows() -> Sequence[Row]:
    return [
        row(
            "PlaceOrder",
            "orders/s",
            [(3000.0, 250.0), (2800.0, 200.0), (3100.0, 310.0)],
            against="the usual stack",
            goal=10,
        ),
        row("CPU of PlaceOrder", "ms", [(0.6, 0.25)], against="the echo", goal=0.5, lower_is_better=True),
        row("Memory", "MB", [(141.0, 150.0)], against=LIMIT, goal=1, lower_is_better=True),
        row("PostgreSQL", "ms", [(0.2, 0.8)], against="the usual stack", goal=None, lower_is_better=True),
    ]


@pytest.fixture
def figures() -> Figures:
    return Figures("Measured on a day.", "2 cores.", RATES, LATENCIES)


@pytest.fixture
def files(tmp_path: Path) -> Files:
    document = tmp_path / "performance.md"
    places = "\n\n".join(f"{begin(part)}\n{end(part)}" for part in (PICTURE, TABLES))
    document.write_text(f"# Speed\n\n{places}\n\nFindings\n")
    return Files(tmp_path / "last.json", tmp_path / "picture.json", document)


def test_a_ratio_is_the_median_of_the_rounds_ratios() -> None:
    """It is not computed from the medians, so that a disturbance of one round cancels out in its ratio."""
    rounds = [(3000.0, 250.0), (2800.0, 200.0), (3100.0, 310.0)]
    made = row("PlaceOrder", "orders/s", rounds, against="the usual stack", goal=12)
    assert (made.ours, made.peer, made.ratio, made.multiple) == (3000.0, 250.0, 12.0, 12.0)
    assert made.spread == pytest.approx((14 - 10) / 12)
    assert made.good
    assert made.bound == "at least 12"


def test_a_cost_is_good_if_it_is_at_most_the_goals_multiple_of_the_others() -> None:
    """The ratio is the other's over ours, the multiple ours over the other's, and a single round has no spread."""
    dear, cheap = (
        row("CPU", "ms", [(cost, 0.25)], against="the echo", goal=0.5, lower_is_better=True) for cost in (0.6, 0.4)
    )
    assert [dear.ratio, dear.multiple, cheap.ratio, cheap.multiple] == pytest.approx([0.25 / 0.6, 2.4, 0.625, 1.6])
    assert (dear.good, cheap.good, dear.spread) == (False, True, 0.0)
    assert dear.bound == "at most 2"


def test_a_limit_is_shown_in_its_own_unit() -> None:
    """A cost has a maximum, and a share that must be reached a minimum."""
    cost = row("Memory", "MB", [(141.0, 150.0)], against=LIMIT, goal=1, lower_is_better=True)
    share = row("Answered", "%", [(90.0, 100.0)], against=LIMIT, goal=1)
    assert (cost.bound, share.bound) == ("at most 150 MB", "at least 100 %")


@pytest.mark.parametrize(
    ("figure", "text"), [(12345.6, "12,346"), (45.67, "45.7"), (2.345, "2.35"), (0.0449, "0.045"), (0.0, "0.00")]
)
def test_a_figure_is_shown_with_its_significant_digits(figure: float, text: str) -> None:
    """Small ones have three decimals, large ones none."""
    assert rounded(figure) == text


def test_the_table_marks_what_missed_its_goal(rows: Sequence[Row]) -> None:
    """A row without a goal has no verdict."""
    out = StringIO()
    Console(width=160, file=out).print(table(rows))
    lines = [line.split() for line in out.getvalue().splitlines() if line.strip()]
    assert [line[-1] for line in lines[-4:]] == ["reached", "missed", "reached", "0%"]


def test_the_document_has_rows_with_a_goal_and_others_separately(rows: Sequence[Row]) -> None:
    """A cost is shown as a multiple of the other's; a limit stands alone, as the goal."""
    assert goals(rows).splitlines()[2:] == [
        "| PlaceOrder | 3,000 orders/s | the usual stack | 250 orders/s | 12.0 | at least 10 | 33% | reached |",
        "| CPU of PlaceOrder | 0.600 ms | the echo | 0.250 ms | 2.40 | at most 2 | 0% | missed |",
        "| Memory | 141 MB |  |  |  | at most 150 MB | 0% | reached |",
    ]
    assert others(rows).splitlines()[2:] == ["| PostgreSQL | 0.200 ms | the usual stack | 0.800 ms | 0.250 | 0% |"]


def test_the_list_has_only_the_rows_with_a_goal(rows: Sequence[Row]) -> None:
    """A ratio at or above its goal is good in each entry."""
    entries = json.loads(listed(rows))
    assert [set(entry) for entry in entries] == [{"work", "ours", "peer", "ratio", "goal", "spread"}] * 3
    assert entries[0]["work"] == "PlaceOrder, against the usual stack, orders/s"
    assert [entry["ratio"] >= entry["goal"] for entry in entries] == [True, False, True]


def test_the_document_shows_the_last_long_run(files: Files, rows: Sequence[Row]) -> None:
    """A short run replaces no long one; the list is of the last run of either form."""
    for some in (rows[:1], rows[:2]):
        leave([*some, *RATES, *LATENCIES], SHORT, files)
        assert files.document.read_text().count("2026-05-04, the short form") == 2
        assert goals(some) in files.document.read_text()
    leave([*rows, *RATES, *LATENCIES], LONG, files)
    shown = files.document.read_text()
    assert shown.count("2026-05-05, the long form") == 2
    assert "2026-05-04" not in shown
    assert all(shown.count(line(part)) == 1 for line in (begin, end) for part in (PICTURE, TABLES))
    assert shown.startswith("# Speed\n")
    assert shown.endswith("\n\nFindings\n")
    assert goals(rows) in shown
    assert others(rows) in shown
    kept, drawn = files.picture.read_text(), files.document.with_suffix(".svg").read_bytes()
    leave(rows[:1], SHORT, files)
    assert files.document.read_text() == shown
    assert (files.picture.read_text(), files.document.with_suffix(".svg").read_bytes()) == (kept, drawn)
    assert len(json.loads(files.last.read_text())) == 1


def test_each_part_of_the_document_keeps_its_long_run(files: Files, rows: Sequence[Row]) -> None:
    """The picture of a short run is replaced by the next one, while tables remain."""
    leave([*rows, *RATES, *LATENCIES], LONG, files)
    whole_document = files.document.read_text()
    before, _, rest = whole_document.partition(begin(PICTURE))
    _, _, after = rest.partition(end(PICTURE))
    files.document.write_text(f"{before}{begin(PICTURE)}\n{end(PICTURE)}{after}")
    leave([*rows[:1], *RATES], SHORT, files)
    text = files.document.read_text()
    assert text.count("the short form") == text.count("the long form") == 1
    assert Figures.of(files.picture.read_text()).throughput == RATES


def test_the_picture_can_be_read_without_seeing_it(files: Files, rows: Sequence[Row]) -> None:
    """Its alternative text has the figures, and its caption when and on what machine they were measured."""
    leave([*rows, *RATES, *LATENCIES], SHORT, files)
    _, _, rest = files.document.read_text().partition(begin(PICTURE))
    part, _, _ = rest.partition(end(PICTURE))
    assert f"{BACKROOM} 1,552, {USUAL} 140, {PGBENCH} 948, {ECHO} 5,012." in part
    assert f"with 64 callers, {USUAL}: median 450 ms, 99th percentile 547 ms." in part
    assert "2026-05-04, the short form" in part
    assert "cores of" in part
    assert "](performance.svg)" in part


@pytest.mark.parametrize("part", [PICTURE, TABLES])
def test_a_document_without_markers_is_refused(files: Files, rows: Sequence[Row], part: str) -> None:
    """Nothing is guessed, and nothing overwritten."""
    text = files.document.read_text().replace(end(part), "")
    files.document.write_text(text)
    with pytest.raises(MarkersMissing, match=part):
        leave(rows, LONG, files)
    assert files.document.read_text() == text
    assert not files.last.exists()
    assert not files.picture.exists()


def test_the_pictures_figures_are_stored_unchanged(figures: Figures) -> None:
    """It can be drawn again from the file."""
    assert Figures.of(figures.json()) == figures


def test_the_picture_is_the_same_for_the_same_figures(figures: Figures, tmp_path: Path) -> None:
    """It contains no date."""
    one, other = tmp_path / "one.svg", tmp_path / "other.svg"
    draw(figures, one)
    draw(figures, other)
    assert one.read_bytes() == other.read_bytes()
    assert "dc:date" not in one.read_text()


def test_the_picture_has_each_systems_name_and_figures(figures: Figures, tmp_path: Path) -> None:
    """Each bar and the end of each line has its value; a system that was not measured says so."""
    texts = _texts(figures, tmp_path)
    assert {"Backroom", "FastAPI, SQLAlchemy,", "asyncpg"} <= texts
    assert any(text.startswith("pgbench") for text in texts)
    assert any(text.startswith("bare gRPC echo") for text in texts)
    assert {"1,552", "140", "948", "5,012", "2,258", "2,336", "not measured"} <= texts
    assert {"450 ms: median", "547 ms: 99th percentile", "41 ms: median", "127 ms: 99th percentile"} <= texts


def test_the_picture_is_readable_on_any_background_and_at_its_displayed_width(figures: Figures, tmp_path: Path) -> None:
    """It has an opaque background, fits a page without scaling, and has no tiny text."""
    path = tmp_path / "picture.svg"
    draw(figures, path)
    text = path.read_text()
    width = re.search(r'<svg[^>]* width="([\d.]+)pt"', text)
    assert width is not None
    pixels_a_point = 96 / 72
    assert float(width[1]) * pixels_a_point <= PIXELS_OF_A_PAGE
    first = re.search(r'<g id="patch_1">\s*<path d="[^"]*"\s+style="([^"]*)"', text)
    assert first is not None
    assert first[1] == "fill: #ffffff"
    sizes = [float(size) for size in re.findall(r"font(?:-size)?: [^;]*?([\d.]+)px", text)]
    assert sizes
    assert min(sizes) * pixels_a_point >= SMALLEST_PIXELS


@pytest.mark.parametrize(
    ("latencies", "refusals", "failures"),
    [([0.1], [0.01], {}), ([0.1], [], {"ConnectionError: gone": 2}), ([], [], {})],
)
def test_a_window_with_failed_or_refused_calls_does_not_count(
    latencies: Sequence[float], refusals: Sequence[float], failures: Mapping[str, int]
) -> None:
    """Refusals and failures are fast, and would look like speed."""
    with pytest.raises(CallsFailed, match=f"{len(refusals)} refused, failed: {'2 of Conn' if failures else 0}"):
        whole(Sample(1.0, latencies, refusals, 0, failures, {}))


def test_a_window_in_which_all_calls_succeeded_counts() -> None:
    """It is returned unchanged."""
    sample = Sample(1.0, [0.1], [], 0, {}, {})
    assert whole(sample) is sample


def _texts(figures: Figures, folder: Path) -> set[str]:
    """All text in the picture."""
    path = folder / "picture.svg"
    draw(figures, path)
    return {text.strip() for text in re.findall(r"<(?:text|tspan)[^>]*>([^<]+)<", path.read_text())}

"""The picture at the head of docs/performance.md: calls a second of four systems, and latency by number of callers.

.venv/bin/python -m bench.picture     draws it again from the last run's figures in bench/picture.json
"""

from collections.abc import Mapping
from pathlib import Path

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bench.figures import (
    BACKROOM,
    ECHO,
    GET_ORDER,
    GET_PRODUCT,
    METHODS,
    PGBENCH,
    PLACE_ORDER,
    SYSTEMS,
    USUAL,
    Figures,
    Latency,
)

KEPT = Path(__file__).with_name("picture.json")
PICTURE = Path(__file__).parent.parent / "docs" / "performance.svg"

_WIDTH, _HEIGHT = 9.2, 5.9
"""In inches, of 96 pixels each when the picture is shown at its own size."""
_SMALL, _TEXT, _HEAD = 9.0, 9.75, 12.0
"""Sizes of text in points: 12, 13 and 16 pixels."""
_LINE = 12.5
"""From one line of text to the next, in points."""
_INK, _FAINT, _CARD = "#1f2328", "#59636e", "#ffffff"
# Blue and orange, which color-blind readers can distinguish, and dark enough for text.
_COLORS: Mapping[str, str] = {BACKROOM: "#0072b2", USUAL: "#bc4c00", PGBENCH: "#8c959f", ECHO: "#8c959f"}
_ROWS: Mapping[str, str] = {
    BACKROOM: "Backroom",
    USUAL: "FastAPI, SQLAlchemy,\nasyncpg",
    PGBENCH: "pgbench: PostgreSQL\nwithout an API",
    ECHO: "bare gRPC echo:\nno work, no database",
}
_COLUMNS: Mapping[str, str] = {
    PLACE_ORDER: "orders placed",
    GET_ORDER: "orders read",
    GET_PRODUCT: "products read",
}
_LEFT, _RIGHT, _GAP = 0.185, 0.985, 0.03
"""Of the bars' columns, as shares of the width."""
_BAR = 0.62
"""The share of a row that its bar fills."""
_BEYOND, _ROOM_FOR_VALUE = 1.1, 1.55
"""How much longer than the longest bar of a server a bar, and a column, may be."""


def draw(figures: Figures, path: Path) -> None:
    """Writes the picture; the file's suffix decides the format. The same figures give the same bytes."""
    with matplotlib.rc_context(
        {
            "svg.hashsalt": "backroom",
            "svg.fonttype": "none",  # text stays text
            "font.sans-serif": ["DejaVu Sans", "Verdana", "Arial", "Helvetica"],
            "font.size": _TEXT,
            "text.color": _INK,
            "axes.edgecolor": _FAINT,
            "xtick.color": _FAINT,
            "ytick.color": _FAINT,
        }
    ):
        # With a background of its own, since a page's may be white or dark.
        figure = Figure(figsize=(_WIDTH, _HEIGHT), facecolor=_CARD)
        _head(figure, 0.965, "Calls answered per second", "by 64 callers at once; longer is better")
        _bars(figure, figures)
        _head(figure, 0.475, "Time that an order takes", "as more callers order at once; lower is better")
        _curves(figure.add_axes((0.07, 0.095, 0.615, 0.315)), figures)
        figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None)


def _head(figure: Figure, height: float, text: str, explained: str) -> None:
    figure.text(0.015, height, text, size=_HEAD, weight="bold", va="center")
    figure.text(0.985, height, explained, color=_FAINT, va="center", ha="right")


def _bars(figure: Figure, figures: Figures) -> None:
    """A column for each method, and a row for each system."""
    width = (_RIGHT - _LEFT - _GAP * (len(METHODS) - 1)) / len(METHODS)
    for place, method in enumerate(METHODS):
        axes = figure.add_axes((_LEFT + place * (width + _GAP), 0.545, width, 0.335))
        _column(axes, {system: figures.per_second(method, system) for system in SYSTEMS})
        axes.set_title(_COLUMNS[method], size=_TEXT, loc="left", pad=4, color=_INK)
        axes.set_yticks(range(len(SYSTEMS)), list(_ROWS.values()) if place == 0 else [""] * len(SYSTEMS))


def _column(axes: Axes, values: Mapping[str, float | None]) -> None:
    """Bars from zero, with a scale for the servers; pgbench's has a gap if it is far longer."""
    scale = max((value or 0 for system, value in values.items() if system != PGBENCH), default=0) or 1
    for row, (system, value) in enumerate(values.items()):
        length = min(value or 0, scale * _BEYOND)
        axes.barh(row, length, color=_COLORS[system], height=_BAR)
        if length < (value or 0):
            gap, slant = length * 0.88, scale * 0.02
            axes.plot((gap - slant, gap + slant), (row + _BAR / 2, row - _BAR / 2), color=_CARD, linewidth=4)
        text = "not measured" if value is None else f"{value:,.0f}"
        weight = "bold" if system == BACKROOM else "normal"
        axes.annotate(text, (length, row), (5, 0), textcoords="offset points", va="center", weight=weight)
    axes.set_xlim(0, scale * _ROOM_FOR_VALUE)
    axes.set_ylim(len(values) - 0.5, -0.5)
    axes.set_xticks([])
    axes.tick_params(axis="y", length=0, labelcolor=_INK)
    axes.spines[["top", "right", "bottom"]].set_visible(False)


def _curves(axes: Axes, figures: Figures) -> None:
    """The median of each system, and above it a band up to the 99th percentile."""
    for system in (USUAL, BACKROOM):
        curve = figures.curve(system)
        if not curve:
            continue
        places, color = range(len(curve)), _COLORS[system]
        medians, slowest = [each.median_ms for each in curve], [each.p99_ms for each in curve]
        axes.fill_between(places, medians, slowest, color=color, alpha=0.16, linewidth=0)
        axes.plot(places, slowest, color=color, linewidth=1.2, linestyle=(0, (4, 2)), clip_on=False)
        axes.plot(places, medians, color=color, linewidth=2.4, marker="o", markersize=5, clip_on=False)
        axes.set_xticks(places, [f"{each.callers}" for each in curve])
        _label(axes, system, curve[-1], places[-1])
    axes.set_xlabel("callers at once", color=_FAINT, size=_SMALL)
    axes.set_ylabel("milliseconds", color=_FAINT, size=_SMALL)
    axes.tick_params(labelsize=_SMALL, length=0)
    axes.set_ylim(bottom=0)
    axes.margins(x=0.01)
    axes.grid(visible=True, axis="y", color="#d1d9e0", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right", "left"]].set_visible(False)


def _label(axes: Axes, system: str, last: Latency, place: int) -> None:
    """Three lines next to the end of a system's curves: its name, and the two figures there."""
    middle = (last.median_ms + last.p99_ms) / 2
    texts = (system, f"{last.p99_ms:,.0f} ms: 99th percentile", f"{last.median_ms:,.0f} ms: median")
    for line, text in enumerate(texts):
        axes.annotate(
            text,
            (place, middle),
            (12, (1 - line) * _LINE),
            textcoords="offset points",
            va="center",
            color=_COLORS[system],
            weight="normal" if line else "bold",
            annotation_clip=False,
        )


def main() -> None:
    draw(Figures.of(KEPT.read_text()), PICTURE)


if __name__ == "__main__":
    main()

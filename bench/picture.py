"""The picture: how far each row is from its goal."""

from collections.abc import Sequence
from pathlib import Path
from textwrap import fill

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from bench.report import rounded
from bench.row import Row

_GOOD, _MISSED, _INK = "#2a7f9e", "#d1662b", "#333333"
_WIDTH, _BAR, _BELOW = 11.0, 0.45, 0.7
"""In inches: a bar's is its height with the gap, for three lines of text; the last is for the axis."""
_TEXT, _CHARACTERS = 0.43, 62
"""The share of the width that the rows' names have, and how many characters of a line it holds."""


def draw(rows: Sequence[Row], path: Path) -> None:
    """Writes bars of ratio over goal on a logarithmic axis, the goal being a line; the format is by the file's suffix.

    Rows without a goal have no bar.
    """
    held = [(row, row.goal) for row in rows if row.goal is not None]
    # The same rows give the same bytes, and texts stay texts.
    with matplotlib.rc_context({"svg.hashsalt": "backroom", "svg.fonttype": "none", "font.size": 8.5}):
        height = _BELOW + _BAR * len(held)
        figure = Figure(figsize=(_WIDTH, height), facecolor="white")
        axes = figure.add_axes((_TEXT, _BELOW / height, 1 - _TEXT - 0.01, 1 - _BELOW / height))
        shares = [row.ratio / goal for row, goal in held]
        # Bars start at the goal: on a logarithmic axis no other start means anything.
        colours = [_GOOD if row.good else _MISSED for row, _ in held]
        axes.barh(range(len(held)), [share - 1 for share in shares], left=1, color=colours, height=0.5)
        for place, (share, (row, goal)) in enumerate(zip(shares, held, strict=True)):
            text = f"{rounded(row.ratio)} (goal {goal:.3g})"
            axes.annotate(text, (max(share, 1), place), (5, 0), textcoords="offset points", va="center")
        axes.set_yticks(range(len(held)), [fill(f"{row.work}, {row.unit}", _CHARACTERS) for row, _ in held])
        _scale(axes, min(0.5, *shares), max(2, *shares))
        figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None)


def _scale(axes: Axes, least: float, most: float) -> None:
    axes.invert_yaxis()
    axes.axvline(1, color=_INK, linewidth=1.2)
    axes.set_xscale("log")
    axes.set_xlim(least / 1.1, most * (most / least) ** 0.35)  # with room for the last bar's text
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlabel("ratio over its goal, on a logarithmic axis; right of the line is good")
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(axis="y", length=0)
    axes.grid(visible=True, axis="x", color="#dddddd", linewidth=0.6)
    axes.set_axisbelow(True)

"""How the rows are shown: a table for a terminal, JSON for programs, two tables for the document."""

import json
from collections.abc import Sequence

from rich import box
from rich.table import Table
from rich.text import Text

from bench.row import LIMIT, Row

_FIGURES = ("Backroom", "the other", "ratio", "goal", "spread")


def table(rows: Sequence[Row]) -> Table:
    """For a terminal; a row that misses its goal is marked."""
    shown = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    shown.add_column("measured", ratio=3)
    shown.add_column("compared with", ratio=2)
    shown.add_column("unit", no_wrap=True)
    for column in _FIGURES:
        shown.add_column(column, justify="right", no_wrap=True)
    shown.add_column("", no_wrap=True)
    for row in rows:
        style = {"reached": None, "missed": "bold red", "": "dim"}[verdict(row)]
        shown.add_row(row.measured, row.against, row.unit, *figures(row), Text(verdict(row)), style=style)
    return shown


def goals(rows: Sequence[Row]) -> str:
    """The rows that have a goal, as a table of a Markdown document."""
    heads = ("measured", "Backroom", "compared with", "its figure", "ratio", "goal", "spread", "")
    held = [row for row in rows if row.goal is not None]
    return _markdown(
        heads, "lrlrrrrl", [(*_compared(row), row.bound, f"{row.spread:.0%}", verdict(row)) for row in held]
    )


def others(rows: Sequence[Row]) -> str:
    """The rows without a goal, as a table of a Markdown document."""
    heads = ("measured", "Backroom", "compared with", "its figure", "ratio", "spread")
    return _markdown(heads, "lrlrrr", [(*_compared(row), f"{row.spread:.0%}") for row in rows if row.goal is None])


def listed(rows: Sequence[Row]) -> str:
    """The rows that have a goal, as JSON; a ratio at or above its goal is good, whichever direction is better."""
    return json.dumps([_entry(row) for row in rows if row.goal is not None], indent=2) + "\n"


def verdict(row: Row) -> str:
    """reached, missed, or empty without a goal."""
    if row.goal is None:
        return ""
    return "reached" if row.good else "missed"


def figures(row: Row) -> tuple[str, ...]:
    """In the order of the columns."""
    return (rounded(row.ours), rounded(row.peer), rounded(row.multiple), row.bound, f"{row.spread:.0%}")


def rounded(figure: float) -> str:
    """Three significant digits, without an exponent; all digits before the decimal point."""
    if abs(figure) >= 100:
        return f"{figure:,.0f}"
    if abs(figure) >= 10:
        return f"{figure:.1f}"
    return f"{figure:.2f}" if abs(figure) >= 1 or figure == 0 else f"{figure:.3f}"


def _compared(row: Row) -> tuple[str, ...]:
    ours, peer = (f"{rounded(figure)} {row.unit}" for figure in (row.ours, row.peer))
    if row.against == LIMIT:
        return (row.measured, ours, "", "", "")
    return (row.measured, ours, row.against, peer, rounded(row.multiple))


def _markdown(heads: Sequence[str], sides: str, lines: Sequence[Sequence[str]]) -> str:
    """`sides` aligns each column to the left, l, or to the right, r."""
    rule = ["---:" if side == "r" else "---" for side in sides]
    return "\n".join(f"| {' | '.join(line)} |" for line in (heads, rule, *lines))


def _entry(row: Row) -> dict[str, object]:
    kept = {"ours": row.ours, "peer": row.peer, "ratio": row.ratio, "goal": row.goal, "spread": row.spread}
    return {"work": row.name, **{name: round(value or 0.0, 6) for name, value in kept.items()}}

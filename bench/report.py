"""How the rows are shown: a table for a terminal, a list for programs, a table for the document."""

import json
from collections.abc import Sequence

from rich import box
from rich.table import Table
from rich.text import Text

from bench.row import Row

_COLUMNS = ("ours", "peer or limit", "ratio", "goal", "spread")


def table(rows: Sequence[Row]) -> Table:
    """For a terminal; a row that misses its goal is marked."""
    shown = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    shown.add_column("work", ratio=1)
    shown.add_column("unit", no_wrap=True)
    for column in _COLUMNS:
        shown.add_column(column, justify="right", no_wrap=True)
    shown.add_column("", no_wrap=True)
    for row in rows:
        style = {"good": "green", "missed": "bold red", "": "dim"}[verdict(row)]
        shown.add_row(row.work, row.unit, *figures(row), Text(verdict(row)), style=style if style != "green" else None)
    return shown


def markdown(rows: Sequence[Row]) -> str:
    """The same as a table of a Markdown document."""
    heads = ("work", "unit", *_COLUMNS, "")
    lines = [heads, ("---", "---", *["---:"] * len(_COLUMNS), "---")]
    lines += [(row.work, row.unit, *figures(row), verdict(row)) for row in rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def listed(rows: Sequence[Row]) -> str:
    """The rows that have a goal, as JSON; a ratio at or above its goal is good, whether more or less is better."""
    return json.dumps([_entry(row) for row in rows if row.goal is not None], indent=2) + "\n"


def verdict(row: Row) -> str:
    """good, missed, or nothing where there is no goal."""
    if row.goal is None:
        return ""
    return "good" if row.good else "missed"


def figures(row: Row) -> tuple[str, ...]:
    """In the order of the columns."""
    goal = "" if row.goal is None else f"{row.goal:.3g}"
    return (rounded(row.ours), rounded(row.peer), rounded(row.ratio), goal, f"{row.spread:.0%}")


def rounded(figure: float) -> str:
    """Three digits that count, without an exponent; all of them before the point."""
    if abs(figure) >= 100:
        return f"{figure:,.0f}"
    if abs(figure) >= 10:
        return f"{figure:.1f}"
    return f"{figure:.2f}" if abs(figure) >= 1 or figure == 0 else f"{figure:.3f}"


def _entry(row: Row) -> dict[str, object]:
    told = {"ours": row.ours, "peer": row.peer, "ratio": row.ratio, "goal": row.goal, "spread": row.spread}
    return {"work": f"{row.work}, {row.unit}", **{name: round(value or 0.0, 6) for name, value in told.items()}}

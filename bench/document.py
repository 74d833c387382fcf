"""What a run leaves behind: the list of its rows, and its part of the document with the picture."""

import os
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from importlib.metadata import version
from pathlib import Path

from bench.picture import draw
from bench.report import listed, markdown
from bench.row import Row

BEGIN = "<!-- What `make bench` measured: begin -->"
END = "<!-- What `make bench` measured: end -->"

_LONG = "the long form"


class MarkersMissing(Exception):
    """The document has no place for what was measured."""


@dataclass(frozen=True, slots=True)
class Occasion:
    """When, on what and for how long was measured."""

    day: date
    long: bool
    rounds: int
    seconds: float
    """Of one window."""
    postgres: str
    """With its version."""

    def __str__(self) -> str:
        form = _LONG if self.long else "the short form"
        return f"{self.day:%Y-%m-%d}, {form}: {self.rounds} rounds with windows of {self.seconds:g} s."


def leave(rows: Sequence[Row], occasion: Occasion, last: Path, document: Path) -> None:
    """Writes the list of every run; the document and the picture beside it show the last long run.

    A short run is written into the document where no long one stands. Raises MarkersMissing.
    """
    last.write_text(listed(rows))
    text = document.read_text()
    before, began, rest = text.partition(BEGIN)
    within, ended, after = rest.partition(END)
    if not (began and ended):
        raise MarkersMissing(f"{document.name} needs the lines {BEGIN} and {END}")
    if _LONG in within and not occasion.long:
        return
    draw(rows, picture := document.with_suffix(".svg"))
    part = f"{occasion}\n\n{machine(occasion.postgres)}\n\n{markdown(rows)}\n\n![Ratios over goals]({picture.name})"
    document.write_text(f"{before}{BEGIN}\n\n{part}\n\n{END}{after}")


def machine(postgres: str) -> str:
    """What the figures were measured on, in a sentence."""
    cores = len(os.sched_getaffinity(0))
    python = f"{platform.python_implementation()} {platform.python_version()}"
    libraries = ", ".join(f"{name} {version(name)}" for name in ("grpcio", "psycopg", "uvloop"))
    return f"{cores} cores of {_processor()}; {platform.system()}; {python}; {postgres}; {libraries}."


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            return value.strip()
    return platform.machine()

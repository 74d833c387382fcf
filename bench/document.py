"""The output of a run: the list of its rows, the picture's figures, and its parts of the document."""

import os
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from importlib.metadata import version
from pathlib import Path

from bench.figures import METHODS, SYSTEMS, Figures, Finding, Latency, Throughput
from bench.picture import draw
from bench.report import goals, listed, others
from bench.row import Row

PICTURE, TABLES = "picture", "tables"
"""The parts of the document that a run writes."""

_LONG = "the long form"


class MarkersMissing(Exception):
    """The document has no markers for the results."""


@dataclass(frozen=True, slots=True)
class Occasion:
    """When, on which machine and for how long a run measured."""

    day: date
    long: bool
    rounds: int
    seconds: float
    """Of one window."""
    postgres: str
    """With its version."""

    def __str__(self) -> str:
        form = _LONG if self.long else "the short form"
        return f"Measured on {self.day:%Y-%m-%d}, {form}: {self.rounds} rounds with windows of {self.seconds:g} s."


@dataclass(frozen=True, slots=True)
class Files:
    """The files that a run writes."""

    last: Path
    """The list of the last run's rows."""
    picture: Path
    """What the document's picture shows, as JSON."""
    document: Path
    """The picture itself is next to it, under the same name with the suffix .svg."""


def leave(findings: Sequence[Finding], occasion: Occasion, files: Files) -> None:
    """Writes the list of every run; the document and its picture show the last long run.

    A short run is written into a part of the document unless that holds a long one. Raises MarkersMissing.
    """
    rows = [each for each in findings if isinstance(each, Row)]
    text = files.document.read_text()
    if _yields(text, TABLES, occasion):
        text = _with_part(text, TABLES, tables(rows, occasion))
    if _yields(text, PICTURE, occasion):
        shown = _figures(findings, occasion)
        svg = files.document.with_suffix(".svg")
        text = _with_part(text, PICTURE, f"![{described(shown)}]({svg.name})\n\n{shown.occasion}\n{shown.machine}")
        files.picture.write_text(shown.json())
        draw(shown, svg)
    files.last.write_text(listed(rows))
    files.document.write_text(text)


def tables(rows: Sequence[Row], occasion: Occasion) -> str:
    """The part of the document with all rows."""
    return "\n\n".join(
        (
            f"{occasion}\n{machine(occasion.postgres)}",
            goals(rows),
            "### Measured beside, without a goal",
            others(rows),
        )
    )


def described(figures: Figures) -> str:
    """The picture in words, as its alternative text."""
    sentences = []
    for method in METHODS:
        rates = [(system, figures.per_second(method, system)) for system in SYSTEMS]
        listed_rates = ", ".join(f"{system} {rate:,.0f}" for system, rate in rates if rate is not None)
        sentences.append(f"{method} calls per second: {listed_rates}.")
    for system in SYSTEMS:
        for last in figures.curve(system)[-1:]:
            slow = f"median {last.median_ms:,.0f} ms, 99th percentile {last.p99_ms:,.0f} ms"
            sentences.append(f"Latency of an order with {last.callers} callers, {system}: {slow}.")
    return " ".join(sentences)


def begin(part: str) -> str:
    """The line before a part."""
    return f"<!-- {part}, written by `make bench`: begin -->"


def end(part: str) -> str:
    """The line after a part."""
    return f"<!-- {part}, written by `make bench`: end -->"


def machine(postgres: str) -> str:
    """The machine and the versions, in a sentence."""
    cores = len(os.sched_getaffinity(0))
    python = f"{platform.python_implementation()} {platform.python_version()}"
    libraries = ", ".join(f"{name} {version(name)}" for name in ("grpcio", "psycopg", "uvloop"))
    return f"{cores} cores of {_processor()}; {platform.system()}; {python}; {postgres}; {libraries}."


def _figures(findings: Sequence[Finding], occasion: Occasion) -> Figures:
    throughput = [each for each in findings if isinstance(each, Throughput)]
    latency = [each for each in findings if isinstance(each, Latency)]
    return Figures(str(occasion), machine(occasion.postgres), throughput, latency)


def _yields(text: str, part: str, occasion: Occasion) -> bool:
    """Whether the content of a part is to be replaced."""
    return occasion.long or _LONG not in _split(text, part)[1]


def _with_part(text: str, part: str, content: str) -> str:
    before, _, after = _split(text, part)
    return f"{before}{begin(part)}\n\n{content}\n\n{end(part)}{after}"


def _split(text: str, part: str) -> tuple[str, str, str]:
    before, began, rest = text.partition(begin(part))
    within, ended, after = rest.partition(end(part))
    if not (began and ended):
        raise MarkersMissing(f"the document needs the lines {begin(part)} and {end(part)}")
    return before, within, after


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            return value.strip()
    return platform.machine()

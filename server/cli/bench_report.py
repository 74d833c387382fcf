"""A bench as a person reads it."""

import math
from collections.abc import Iterator, Mapping

from rich.console import Console
from rich.table import Table

from load.sample import Sample
from load.totals import Checked
from server.cli.bench_works import LOAD

_NAMED = 5
_COLUMNS = ("answered/s", "p50 ms", "p99 ms", "p99.9 ms", "refused", "failed", "own CPU ms")


def print_samples(console: Console, samples: Mapping[str, Sample]) -> None:
    """A row for each work; its last column is what a call cost this process. Then what calls failed of."""
    table = Table(box=None, pad_edge=False)
    table.add_column("work", no_wrap=True)
    for column in _COLUMNS:
        table.add_column(column, justify="right")
    for work, sample in samples.items():
        table.add_row(work, *_cells(sample))
    console.print(table)
    for work, sample in samples.items():
        for why in _named(sample.failures):
            console.print(f"{work} failed: {why}", style="red", markup=False, soft_wrap=True)
        if sample.unhinted:
            text = f"{work}: {sample.unhinted:,} refusals did not say when to try again"
            console.print(text, style="yellow", markup=False, soft_wrap=True)


def print_checked(console: Console, checked: Checked) -> None:
    text = f"stock and orders add up: {checked.orders:,} orders, {checked.pieces:,} pieces held"
    console.print(text, style="green", markup=False, soft_wrap=True)
    if checked.unanswered:
        text = f"{checked.unanswered:,} calls had no answer; {checked.placed_unanswered:,} of them placed their order"
        console.print(text, style="yellow", markup=False, soft_wrap=True)


def _cells(sample: Sample) -> Iterator[str]:
    yield f"{sample.rate:,.0f}"
    for share in (0.5, 0.99, 0.999):
        yield _milliseconds(sample.percentile(share), 1)
    yield f"{len(sample.refusals):,}"
    yield f"{sum(sample.failures.values()):,}"
    yield _milliseconds(sample.cost_of(LOAD), 3)


def _milliseconds(seconds: float, decimals: int) -> str:
    return "-" if math.isnan(seconds) else f"{seconds * 1e3:,.{decimals}f}"


def _named(failures: Mapping[str, int]) -> Iterator[str]:
    """The most frequent ones."""
    ordered = sorted(failures.items(), key=lambda failure: -failure[1])
    for why, count in ordered[:_NAMED]:
        yield f"{count:,} x {why}"
    if rest := sum(count for _, count in ordered[_NAMED:]):
        yield f"{rest:,} x something else"

"""The measurements, in the order of the tables."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

from bench.figures import Finding
from bench.measurements.accessing import accessing
from bench.measurements.articles import articles
from bench.measurements.booking import booking, finding_times
from bench.measurements.counting import counting
from bench.measurements.evaluating import evaluating
from bench.measurements.ingesting import ingesting
from bench.measurements.lone import lone
from bench.measurements.memory import memory
from bench.measurements.overload import overload
from bench.measurements.placing import hot, hot_pgbench, streaming, two_lines
from bench.measurements.reading import reading
from bench.measurements.replaying import replaying
from bench.measurements.sizes import sizes
from bench.measurements.starting import starting
from bench.measurements.tasking import tasking
from bench.setting import Bench


@dataclass(frozen=True, slots=True)
class Measurement:
    what: str
    """What it does, for the person who runs it."""
    measure: Callable[[Bench], Awaitable[Sequence[Finding]]]
    short: bool = True
    """Whether the short form includes it."""


MEASUREMENTS: Mapping[str, Measurement] = {
    "hot": Measurement("a crowd orders one product: Backroom, the usual stack, the echo", hot),
    "hot_pgbench": Measurement("a crowd orders one product: Backroom, pgbench", hot_pgbench),
    "two_lines": Measurement("a crowd orders two of 10,000 products: Backroom, the usual stack, the echo", two_lines),
    "lone": Measurement("one lone caller orders, through the batcher and without it", lone),
    "streaming": Measurement("orders over one stream, and by calls", streaming),
    "reading": Measurement("a crowd reads orders and products: all four systems", reading),
    "evaluating": Measurement(
        "a crowd evaluates flags: Backroom, the usual stack, the echo; few flags and many", evaluating
    ),
    "booking": Measurement("a crowd books one resource, and 1,000 of them: Backroom, the usual stack", booking),
    "articles": Measurement("a crowd reads and searches articles: Backroom, the usual stack", articles),
    "finding_times": Measurement("the free times of a year are found", finding_times),
    "tasking": Measurement("a crowd reads, lists and changes tasks: Backroom, the usual stack", tasking),
    "ingesting": Measurement("events come in over streams: Backroom, a bare COPY, the usual stack", ingesting),
    "counting": Measurement("a year of events is counted by day: out of rollups, and by a scan", counting),
    "sizes": Measurement("lists and orders on a large database, and on a small one", sizes, short=False),
    "starting": Measurement("a server starts on a database that is there", starting),
    "memory": Measurement("the memory of a server, idle and along many calls", memory, short=False),
    "overload": Measurement("more calls than the server can carry", overload, short=False),
    "replaying": Measurement("a real shop's orders are replayed, and copied", replaying, short=False),
    "accessing": Measurement("access and validation alone, within one process", accessing, short=False),
}

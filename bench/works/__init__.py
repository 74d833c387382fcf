"""What is measured, in the order of the table."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

from bench.figures import Finding
from bench.setting import Bench
from bench.works.accessing import accessing
from bench.works.lone import lone
from bench.works.memory import memory
from bench.works.overload import overload
from bench.works.placing import hot, hot_pgbench, streaming, two_lines
from bench.works.reading import reading
from bench.works.replaying import replaying
from bench.works.sizes import sizes
from bench.works.starting import starting


@dataclass(frozen=True, slots=True)
class Work:
    what: str
    """What it does, for who watches it."""
    measure: Callable[[Bench], Awaitable[Sequence[Finding]]]
    short: bool = True
    """Whether the short form has it."""


WORKS: Mapping[str, Work] = {
    "hot": Work("a crowd orders one product: Backroom, the usual stack, a bare gRPC echo", hot),
    "hot_pgbench": Work("a crowd orders one product: Backroom, pgbench", hot_pgbench),
    "two_lines": Work("a crowd orders two of 10,000 products: Backroom, the usual stack, a bare gRPC echo", two_lines),
    "lone": Work("one lone caller orders, through the batcher and without it", lone),
    "streaming": Work("orders over one stream, and by calls", streaming),
    "reading": Work("a crowd reads orders and products: Backroom, the usual stack, a bare gRPC echo, pgbench", reading),
    "sizes": Work("lists and orders on a large database, and on a small one", sizes, short=False),
    "starting": Work("a server starts on a database that is there", starting),
    "memory": Work("the memory of a server, idle and along many calls", memory, short=False),
    "overload": Work("more calls than the server can carry", overload, short=False),
    "replaying": Work("a real shop's orders are replayed, and copied", replaying, short=False),
    "accessing": Work("access and validation alone, within one process", accessing, short=False),
}

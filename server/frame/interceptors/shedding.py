"""More work than the server can carry is refused at the door, while what it has taken is answered in time."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from prometheus_client import CollectorRegistry, Counter, Gauge

from server.frame.addresses import CallerNetwork, caller_networks
from server.frame.call import Call
from server.frame.errors import Overloaded, TooManyConcurrentCalls
from server.frame.interceptors.base import Behavior, Method

KINDS = ("unary", "stream", "client_stream")
"""Counted apart: a watch lasts for hours and mostly does nothing, a stream of orders may keep a core busy."""


@dataclass(frozen=True)
class ConcurrencyLimits:
    """How many calls may be under way."""

    calls: int = 1000
    """What is above would only wait: a call takes its turn at the database behind all of these."""
    streams: int = 1000
    """That the server writes, and as many that the caller writes: they must not keep calls out, nor calls them."""
    per_caller: int = 100
    """Of each kind: of one account that may no more than any customer, or of one network without an account."""
    probes: int = 32
    """Health watches and reflection's streams on one connection."""
    probes_per_network: int = 128
    """The same of one network."""
    checks: int = 100
    """Calls of Health/Check on one connection: one that probes has a single one."""

    def of(self, kind: str) -> int:
        return self.calls if kind == "unary" else self.streams


class Shedding:
    """Refuses the excess before any work is done for it.

    Health is not among it, nor is reflection: whoever asks whether the server lives must not be told that it is busy,
    and be restarted for that. They are bounded for each connection and network alone.
    """

    def __init__(self, most: ConcurrencyLimits, registry: CollectorRegistry) -> None:
        under_way = Gauge("backroom_calls_under_way", "Calls that were taken", ("kind",), registry=registry)
        shed = Counter("backroom_calls_shed", "Calls refused for too many under way", ("kind",), registry=registry)
        self._limits = {
            kind: _ConcurrencyLimit(most.of(kind), under_way.labels(kind), shed.labels(kind)) for kind in KINDS
        }
        self._probes = KeyedLimit(most.probes), NetworkLimit(most.probes_per_network)
        self._checks = KeyedLimit(most.checks)

    def around(self, method: Method, proceed: Behavior) -> Behavior:
        if method.quiet:
            return self._probing(method, proceed)
        limit = self._limits[kind_of(method)]

        async def carried(request: Any, call: Call) -> Any:
            limit.enter()
            try:
                return await proceed(request, call)
            finally:
                limit.leave()

        return carried

    def _probing(self, method: Method, proceed: Behavior) -> Behavior:
        of_connection, of_source = self._probes

        async def watching(request: Any, call: Call) -> Any:
            with of_connection.slot(call.peer()), of_source.slot(caller_networks(call.address)):
                return await proceed(request, call)

        async def checking(request: Any, call: Call) -> Any:
            with self._checks.slot(call.peer()):
                return await proceed(request, call)

        return watching if method.streams else checking


class KeyedLimit:
    """How many there are of each, up to so many."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._counts: dict[Hashable, int] = {}

    def __len__(self) -> int:
        """Of how many there are any."""
        return len(self._counts)

    def slot(self, of: Hashable) -> "_Slot":
        """Counts for as long as its block lasts; entering it raises TooManyConcurrentCalls where there are too many."""
        return _Slot(self, of)

    def enter(self, of: Hashable) -> None:
        count = self._counts.get(of, 0)
        if count >= self._most:
            raise TooManyConcurrentCalls(most=str(self._most))
        self._counts[of] = count + 1

    def leave(self, of: Hashable) -> None:
        count = self._counts[of]
        if count == 1:
            del self._counts[of]
        else:
            self._counts[of] = count - 1


class NetworkLimit:
    """How many there are from each network, up to so many, or some times as many from a wider one."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._by_times: dict[float, KeyedLimit] = {}

    def __len__(self) -> int:
        """From how many networks there are any."""
        return sum(map(len, self._by_times.values()))

    def slot(self, sources: Sequence[CallerNetwork]) -> "_Slot":
        """Counts for as long as its block lasts; entering it raises TooManyConcurrentCalls where there are too many."""
        return _Slot(self, sources)

    def enter(self, sources: Sequence[CallerNetwork]) -> None:
        """Counts in all of them; raises TooManyConcurrentCalls, and counts in none, where one has too many."""
        for place, source in enumerate(sources):
            try:
                self._of(source.times).enter(source.name)
            except TooManyConcurrentCalls:
                self.leave(sources[:place])
                raise

    def leave(self, sources: Sequence[CallerNetwork]) -> None:
        for source in sources:
            self._of(source.times).leave(source.name)

    def _of(self, times: float) -> KeyedLimit:
        found = self._by_times.get(times)
        if found is None:
            found = self._by_times[times] = KeyedLimit(int(self._most * times))
        return found


class _Counted(Protocol):
    """What counts."""

    def enter(self, of: Any) -> None: ...
    def leave(self, of: Any) -> None: ...


class _Slot:
    """A generator would cost three times as much, at each call."""

    __slots__ = ("_of", "_shares")

    def __init__(self, shares: _Counted, of: Any) -> None:
        self._shares = shares
        self._of = of

    def __enter__(self) -> None:
        self._shares.enter(self._of)

    def __exit__(self, *_error: object) -> None:
        self._shares.leave(self._of)


class _ConcurrencyLimit:
    """Calls of one kind, counted against their bound."""

    def __init__(self, most: int, under_way: Gauge, shed: Counter) -> None:
        self._most = most
        self._count = 0
        self._shed = shed
        under_way.set_function(lambda: self._count)

    def enter(self) -> None:
        """Raises Overloaded where it is full."""
        if self._count >= self._most:
            self._shed.inc()
            raise Overloaded
        self._count += 1

    def leave(self) -> None:
        self._count -= 1


def kind_of(method: Method) -> str:
    """One of KINDS."""
    if method.takes_stream:
        return "client_stream"
    return "stream" if method.answers_stream else "unary"

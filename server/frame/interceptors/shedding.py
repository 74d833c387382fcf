"""More work than the server can carry is refused at the door, while what it has taken is answered in time."""

from dataclasses import dataclass
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge

from server.frame.call import Call
from server.frame.errors import Overloaded
from server.frame.interceptors.base import Behaviour, Method


@dataclass(frozen=True)
class MostAtOnce:
    """How many calls may be under way."""

    calls: int = 1000
    """What is above would only wait: a call takes its turn at the database behind all of these."""
    streams: int = 1000
    """Counted apart: a watch lasts for hours and mostly does nothing, and must not keep calls out, nor they it."""


class Shedding:
    """Refuses the excess before any work is done for it; never health, nor reflection.

    Whoever asks whether the server lives must not be told that it is busy: it would be restarted for that.
    """

    def __init__(self, most: MostAtOnce, registry: CollectorRegistry) -> None:
        under_way = Gauge("backroom_calls_under_way", "Calls that were taken", ("kind",), registry=registry)
        shed = Counter("backroom_calls_shed", "Calls refused for too many under way", ("kind",), registry=registry)
        self._calls = _Lane(most.calls, under_way.labels("unary"), shed.labels("unary"))
        self._streams = _Lane(most.streams, under_way.labels("stream"), shed.labels("stream"))

    def around(self, method: Method, proceed: Behaviour) -> Behaviour:
        if method.quiet:
            return proceed
        lane = self._streams if method.streams else self._calls

        async def carried(request: Any, call: Call) -> Any:
            lane.enter()
            try:
                return await proceed(request, call)
            finally:
                lane.leave()

        return carried


class _Lane:
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

"""Counters and times of calls, under the names that gRPC dashboards know."""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from itertools import accumulate
from time import time

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from server.frame.interceptors.base import Method

_NAME = "grpc_server"
_LABELS = ("grpc_type", "grpc_service", "grpc_method")
_BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


class Counts:
    """What is counted of one method's calls: plain numbers, of which metrics are made when they are shown."""

    def __init__(self, labels: Sequence[str]) -> None:
        self.labels = labels
        self.since = time()
        self.started = 0
        self.handled: dict[str, int] = {}
        """By the code's name."""
        self.seconds = 0.0
        self.buckets = [0] * (len(_BUCKETS) + 1)
        """How many calls took so long; the last have no bound."""

    def end(self, code: str, seconds: float) -> None:
        """Counts a call that has ended."""
        self.handled[code] = self.handled.get(code, 0) + 1
        self.seconds += seconds
        self.buckets[bisect_left(_BUCKETS, seconds)] += 1


class Metrics(Collector):
    """Shows what is counted of all calls.

    A method that does not exist is counted as "unknown": callers must not be able to make up labels.
    """

    def __init__(self, registry: CollectorRegistry, methods: Iterable[str]) -> None:
        self._methods = frozenset(methods)
        self._counts: dict[Sequence[str], Counts] = {}
        registry.register(self)

    def counts_of(self, method: Method) -> Counts:
        labels = (_kind(method), *self._names(method.path))
        return self._counts.setdefault(labels, Counts(labels))

    def collect(self) -> Iterator[Metric]:
        """In any thread, while calls are counted."""
        started = CounterMetricFamily(f"{_NAME}_started", "Calls started", labels=_LABELS)
        handled = CounterMetricFamily(f"{_NAME}_handled", "Calls completed, by code", labels=(*_LABELS, "grpc_code"))
        seconds = HistogramMetricFamily(f"{_NAME}_handling_seconds", "How long calls took", labels=_LABELS)
        for each in list(self._counts.values()):
            started.add_metric(each.labels, each.started, created=each.since)
            for code, count in list(each.handled.items()):
                handled.add_metric((*each.labels, _camel(code)), count, created=each.since)
            up_to = accumulate(list(each.buckets))
            bounds = (*map(floatToGoString, _BUCKETS), "+Inf")
            seconds.add_metric(each.labels, list(zip(bounds, up_to, strict=True)), each.seconds)
        return iter((started, handled, seconds))

    def describe(self) -> Iterator[Metric]:
        return self.collect()

    def _names(self, path: str) -> tuple[str, str]:
        if path not in self._methods:
            return ("unknown", "unknown")
        service, _, name = path.removeprefix("/").partition("/")
        return (service, name)


def _kind(method: Method) -> str:
    if method.takes_stream:
        return "bidi_stream" if method.answers_stream else "client_stream"
    return "server_stream" if method.answers_stream else "unary"


@cache
def _camel(code: str) -> str:
    """A code as the dashboards know it: NotFound for NOT_FOUND, but OK for OK."""
    return code if code == "OK" else "".join(word.capitalize() for word in code.split("_"))

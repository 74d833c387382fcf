"""Counters and times of calls, under the names that gRPC dashboards know."""

from collections.abc import Iterable
from functools import cache
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Histogram

from server.frame.call import Call
from server.frame.interceptors.base import Behavior, Method
from server.frame.interceptors.ending import observed

_LABELS = ("grpc_type", "grpc_service", "grpc_method")
_BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


class Metrics:
    """Outside of the refusals, so that it counts the code that the caller is answered.

    A method that does not exist is counted as "unknown": callers must not be able to make up labels.
    """

    def __init__(self, registry: CollectorRegistry, methods: Iterable[str]) -> None:
        self._methods = frozenset(methods)
        name = "grpc_server"
        self._started = Counter(f"{name}_started", "Calls begun", _LABELS, registry=registry)
        self._handled = Counter(f"{name}_handled", "Calls ended, by code", (*_LABELS, "grpc_code"), registry=registry)
        self._seconds = Histogram(
            f"{name}_handling_seconds", "How long calls took", _LABELS, registry=registry, buckets=_BUCKETS
        )

    def around(self, method: Method, proceed: Behavior) -> Behavior:
        labels = (_kind(method), *self._names(method.path))
        started, seconds = self._started.labels(*labels), self._seconds.labels(*labels)
        handled = cache(lambda code: self._handled.labels(*labels, _camel(code)))

        def observe(_call: Call, code: str, took: float) -> None:
            handled(code).inc()
            seconds.observe(took)

        told = observed(proceed, observe)

        async def counted(request: Any, call: Call) -> Any:
            started.inc()
            return await told(request, call)

        return counted

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

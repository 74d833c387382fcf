"""Counters and times of calls, under the names that gRPC dashboards know."""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from functools import cache
from time import perf_counter

import grpc
from prometheus_client import CollectorRegistry, Counter, Histogram

from server.frame.call import Call
from server.frame.interceptors.base import Handler, Interceptor
from server.frame.interceptors.request_log import ended_with

_LABELS = ("grpc_type", "grpc_service", "grpc_method")
_BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


class Metrics(Interceptor):
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
        self._started_of = cache(self._started.labels)
        self._handled_of = cache(self._handled.labels)
        self._seconds_of = cache(self._seconds.labels)

    @asynccontextmanager
    async def around(self, call: Call, handler: Handler) -> AsyncIterator[None]:
        labels = (_kind(handler), *self._names(call.method))
        self._started_of(*labels).inc()
        began = perf_counter()
        code = "CANCELLED"
        try:
            yield
            code = ended_with(call)
        except grpc.aio.AbortError:
            code = ended_with(call)
            raise
        finally:
            self._handled_of(*labels, _camel(code)).inc()
            self._seconds_of(*labels).observe(perf_counter() - began)

    def _names(self, method: str) -> tuple[str, str]:
        if method not in self._methods:
            return ("unknown", "unknown")
        service, _, name = method.removeprefix("/").partition("/")
        return (service, name)


def _kind(handler: Handler) -> str:
    if handler.request_streaming:
        return "bidi_stream" if handler.response_streaming else "client_stream"
    return "server_stream" if handler.response_streaming else "unary"


@cache
def _camel(code: str) -> str:
    """A code as the dashboards know it: NotFound for NOT_FOUND, but OK for OK."""
    return code if code == "OK" else "".join(word.capitalize() for word in code.split("_"))

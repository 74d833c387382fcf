import time

from prometheus_client import CollectorRegistry, Counter, Histogram
from starlette.types import ASGIApp, Message, Receive, Scope, Send


class RequestMetrics:
    """Counts requests and their duration by method, route and status.

    A plain ASGI middleware: Starlette's BaseHTTPMiddleware would cost several times as much.
    """

    def __init__(self, app: ASGIApp, registry: CollectorRegistry) -> None:
        self._app = app
        self._count = Counter("http_requests", "Requests answered", ["method", "path", "status"], registry=registry)
        self._seconds = Histogram(
            "http_request_duration_seconds", "Time to the answer", ["method", "path"], registry=registry
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = time.perf_counter()
        status = 500

        async def noting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, noting)
        finally:
            route = scope.get("route")
            path = route.path if route is not None else "unmatched"
            self._count.labels(scope["method"], path, status).inc()
            self._seconds.labels(scope["method"], path).observe(time.perf_counter() - began)

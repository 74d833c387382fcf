"""GET /metrics: of one process, or of several that share a port; whom they are shown to, and how often."""

import asyncio
import hmac
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from server.process.http.app import answering

Exposition = Callable[[], Awaitable[str]]
"""Returns the metrics in Prometheus's text format; raises ConnectionError where those of others cannot be had."""


@dataclass(frozen=True, slots=True)
class MetricsAccess:
    """Whom the metrics are shown to."""

    public: bool = True
    """Whether the HTTP side shows them to anyone."""
    token: str | None = field(default=None, repr=False)
    """Shows them to whoever sends it as a bearer token, and to nobody else."""
    kept_seconds: float = 1.0
    """For how long what was rendered is shown again."""


def rendered(registry: CollectorRegistry) -> Exposition:
    """One process's metrics, rendered beside the event loop: that takes some hundredths of a second."""

    async def render() -> str:
        return (await asyncio.to_thread(generate_latest, registry)).decode()

    return render


class CachedExposition:
    """An exposition that is made once at a time, and shown to all who ask meanwhile and for a while after."""

    def __init__(self, exposition: Exposition, seconds: float, elapsed: Callable[[], float] = time.monotonic) -> None:
        self._exposition = exposition
        self._seconds = seconds
        self._elapsed = elapsed
        self._made: asyncio.Task[str] | None = None
        self._since = 0.0

    async def __call__(self) -> str:
        """Raises what the exposition raises, which is not kept."""
        if self._made is None or (self._made.done() and not self._fresh(self._made)):
            self._made = asyncio.create_task(self._make())
        return await asyncio.shield(self._made)

    async def _make(self) -> str:
        try:
            return await self._exposition()
        finally:
            self._since = self._elapsed()

    def _fresh(self, made: asyncio.Task[str]) -> bool:
        failed = made.cancelled() or made.exception() is not None
        return not failed and self._elapsed() - self._since < self._seconds


def metrics_route(exposition: Exposition, token: str | None = None) -> Route:
    """With a token, only who sends it is answered."""
    wanted = f"Bearer {token}".encode() if token else None

    async def metrics(request: Request) -> Response:
        sent = request.headers.get("authorization", "").encode("latin-1")
        if wanted is not None and not hmac.compare_digest(sent, wanted):
            return JSONResponse({"status": "not authorized"}, 401, {"www-authenticate": "Bearer"})
        try:
            return Response(await exposition(), media_type=CONTENT_TYPE_LATEST)
        except ConnectionError:  # less than all would look like counters that fall
            return JSONResponse({"status": "the supervisor is gone, and this process stops"}, status_code=503)

    return Route("/metrics", metrics)


def with_metrics(app: Starlette, exposition: Exposition, metrics_access: MetricsAccess) -> Starlette:
    """The same application, which shows the metrics too where that is wanted."""
    if not metrics_access.public and metrics_access.token is None:
        return app
    return answering([metrics_route(exposition, metrics_access.token), *app.routes])


def metrics_app(exposition: Exposition, metrics_access: MetricsAccess) -> Starlette:
    """Shows the metrics, and nothing else."""
    return answering([metrics_route(exposition, metrics_access.token)])

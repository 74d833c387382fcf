"""GET /metrics: of one process, or of several that share a port."""

from collections.abc import Awaitable, Callable

from prometheus_client import CONTENT_TYPE_LATEST
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route

Exposition = Callable[[], Awaitable[str]]
"""Returns the metrics in Prometheus's text format; raises ConnectionError where those of others cannot be had."""


def metrics_route(exposition: Exposition) -> Route:
    async def metrics(_request: Request) -> Response:
        try:
            return Response(await exposition(), media_type=CONTENT_TYPE_LATEST)
        except ConnectionError:  # less than all would look like counters that fall
            return JSONResponse({"status": "the supervisor is gone, and this process stops"}, status_code=503)

    return Route("/metrics", metrics)


def with_metrics(app: Starlette, exposition: Exposition) -> Starlette:
    """The same application with other metrics."""
    return Starlette(routes=[metrics_route(exposition), Mount("/", app)])

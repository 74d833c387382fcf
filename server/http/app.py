from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from prometheus_client import CollectorRegistry, generate_latest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from server.frame.health import Health
from server.http.metrics import metrics_route
from storage.errors import StoreError


def create_app(
    health: Health,
    registry: CollectorRegistry,
    jwks: Callable[[], Awaitable[dict[str, Any]]],
    routes: Sequence[BaseRoute] = (),
) -> Starlette:
    """GET /healthz, /readyz, /metrics and /.well-known/jwks.json, what the modules' routes answer, and nothing else."""

    async def healthz(_request: Request) -> Response:
        return JSONResponse({"status": "alive"})

    async def readyz(_request: Request) -> Response:
        if health.reason is None:
            return JSONResponse({"status": "ready"})
        return JSONResponse({"status": "not ready", "why": health.reason}, status_code=503)

    async def metrics() -> str:
        return generate_latest(registry).decode()

    async def key_set(_request: Request) -> Response:
        try:
            return JSONResponse(await jwks(), headers={"cache-control": "public, max-age=300"})
        except StoreError:
            return JSONResponse({"status": "the database does not answer"}, status_code=503)

    own = {"/healthz": healthz, "/readyz": readyz, "/.well-known/jwks.json": key_set}
    ours = (Route(path, endpoint) for path, endpoint in own.items())
    return Starlette(routes=[*ours, metrics_route(metrics), *routes])

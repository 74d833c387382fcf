from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from prometheus_client import CollectorRegistry, generate_latest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from server.frame.health import Health
from server.http.metrics import metrics_route
from storage.errors import StoreError

NAME = "Backroom\n"


def about_text(version: str) -> str:
    """What the root says to a person who came here to look; nothing of it is for strangers in production."""
    return _ABOUT.format(version=version)


def create_app(
    health: Health,
    registry: CollectorRegistry,
    jwks: Callable[[], Awaitable[dict[str, Any]]],
    routes: Sequence[BaseRoute] = (),
    *,
    about: str = NAME,
) -> Starlette:
    """GET /, /healthz, /readyz, /metrics and /.well-known/jwks.json, what the modules' routes answer, and nothing else.

    `about` is what / says, in plain text.
    """

    async def root(_request: Request) -> Response:
        return PlainTextResponse(about)

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

    own = {"/": root, "/healthz": healthz, "/readyz": readyz, "/.well-known/jwks.json": key_set}
    ours = (Route(path, endpoint) for path, endpoint in own.items())
    return Starlette(routes=[*ours, metrics_route(metrics), *routes])


_ABOUT = """Backroom {version}

Services behind gRPC: identity, orders with stock and payments, webhooks.
Calls are answered on the gRPC port, which this is not. It tells its contract by grpc.reflection:

  buf curl --list-methods --http2-prior-knowledge http://HOST:GRPC_PORT
  grpcurl -plaintext HOST:GRPC_PORT list

This port answers

  /healthz                 whether the process lives
  /readyz                  whether calls are answered, and why not
  /metrics                 what Prometheus reads
  /.well-known/jwks.json   the keys that access tokens are verified by
  /webhooks/{{source}}       webhooks that are sent here, by POST

Further: README.md, docs/access.md (who may do what), docs/webhooks.md; `backroom --help` and `backroom doctor`.
"""

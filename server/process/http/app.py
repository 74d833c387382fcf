from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from server.frame.health import Health
from storage.errors import StoreError

NAME = "Backroom\n"


def about_text(version: str, services: Sequence[str], routes: Sequence[BaseRoute]) -> str:
    """What the root says to a person who came here to look; nothing of it is for outsiders in production.

    `services` are the names of those behind gRPC, and `routes` those of the modules.
    """
    paths = dict.fromkeys(route.path.replace(":path}", "}") for route in routes if isinstance(route, Route))
    return _ABOUT.format(version=version, services=_lines(services), paths=_lines(paths))


def _lines(names: Iterable[str]) -> str:
    return "".join(f"  {name}\n" for name in names)


def create_app(
    health: Health,
    jwks: Callable[[], Awaitable[dict[str, Any]]],
    routes: Sequence[BaseRoute] = (),
    *,
    about: str = NAME,
) -> Starlette:
    """GET /, /healthz, /readyz and /.well-known/jwks.json, what the modules' routes answer, and nothing else.

    `about` is what / says, in plain text.
    """

    described, alive, ready = (
        PlainTextResponse(about),
        JSONResponse({"status": "alive"}),
        JSONResponse({"status": "ready"}),
    )
    published = _KeySetAnswer()

    async def root(_request: Request) -> Response:
        return described

    async def healthz(_request: Request) -> Response:
        return alive

    async def readyz(_request: Request) -> Response:
        if health.reason is None:
            return ready
        return JSONResponse({"status": "not ready", "why": health.reason}, status_code=503)

    async def key_set(_request: Request) -> Response:
        try:
            return published.answer(await jwks())
        except StoreError:
            return JSONResponse({"status": "the database does not answer"}, status_code=503)

    own = {"/": root, "/healthz": healthz, "/readyz": readyz, "/.well-known/jwks.json": key_set}
    ours = (Route(path, endpoint) for path, endpoint in own.items())
    return answering([*ours, *routes])


def answering(routes: Sequence[BaseRoute]) -> Starlette:
    """What answers these routes, and nothing else."""
    app = Starlette(routes=routes)
    # A path with a slash too many would be answered by a redirect to wherever the Host header says.
    app.router.redirect_slashes = False
    return app


class _KeySetAnswer:
    """The key set as it is answered, which is serialized again only where it has changed."""

    def __init__(self) -> None:
        self._keys: dict[str, Any] | None = None
        self._answer = Response()

    def answer(self, keys: dict[str, Any]) -> Response:
        if keys != self._keys:
            self._keys = keys
            self._answer = JSONResponse(keys, headers={"cache-control": "public, max-age=300"})
        return self._answer


_ABOUT = """Backroom {version}

Services behind gRPC:

{services}
They are called on the gRPC port, which this is not. It describes its contract by grpc.reflection:

  buf curl --list-methods --http2-prior-knowledge http://HOST:GRPC_PORT
  grpcurl -plaintext HOST:GRPC_PORT list

This port answers

  /healthz                 whether the process lives
  /readyz                  whether calls are answered, and if not, why
  /metrics                 what Prometheus reads
  /.well-known/jwks.json   the keys that access tokens are verified by
{paths}
Further: README.md, docs/access.md (who may do what), docs/webhooks.md; `backroom --help` and `backroom doctor`.
"""

"""A merchant that receives webhooks: it verifies and stores them."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from standardwebhooks import Webhook
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from server.process.http.listener import Listener
from tests.fixtures.sandbox import WEBHOOK_SECRET


@dataclass
class Merchant:
    answers: list[int] = field(default_factory=list)
    """The statuses of the next responses; 204 after those."""
    url: str = ""
    received: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    """The id and the body of each request, as it arrived."""
    answering: asyncio.Event = field(default_factory=asyncio.Event)
    """While it is not set, requests are stored and not answered."""
    _arrived: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def take(self, request: Request) -> Response:
        body = await request.body()
        Webhook(WEBHOOK_SECRET).verify(body, dict(request.headers))
        async with self._arrived:
            self.received.append((request.headers["webhook-id"], json.loads(body)))
            self._arrived.notify_all()
        await self.answering.wait()
        return Response(status_code=self.answers.pop(0) if self.answers else 204)

    async def heard(self, count: int) -> None:
        """Returns once it has received this many."""
        async with asyncio.timeout(60), self._arrived:
            await self._arrived.wait_for(lambda: len(self.received) >= count)

    async def heard_of(self, changes: Collection[tuple[str, str]]) -> None:
        """Returns once it has received all of these, each a payment's id and a type."""
        async with asyncio.timeout(60), self._arrived:
            await self._arrived.wait_for(lambda: self.changes >= set(changes))

    @property
    def changes(self) -> set[tuple[str, str]]:
        return {(body["data"]["id"], body["type"]) for _, body in self.received}

    @asynccontextmanager
    async def listening(self, port: int = 0) -> AsyncIterator["Merchant"]:
        app = Starlette(routes=[Route("/hook", self.take, methods=["POST"])])
        listener = Listener(app, "127.0.0.1", port)
        self.url = f"http://127.0.0.1:{listener.port}/hook"
        listener.start()
        self.answering.set()
        yield self
        await listener.stop()


def reserved_port() -> int:
    """A port on which nothing listens."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])

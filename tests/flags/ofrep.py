"""OFREP over the wire: a real server, and requests as its clients make them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from ipaddress import ip_network
from typing import Any
from uuid import UUID

import httpx

from backroom.identity.v1 import access_service_pb2 as access_pb
from backroom.identity.v1 import accounts_pb2
from storage.database import Database
from tests.fixtures.http import plain_client
from tests.fixtures.servers import Api, Running, quick_passwords, running

ALL = "/ofrep/v1/evaluate/flags"
HERE = (ip_network("127.0.0.0/8"),)
PAGE = "https://shop.example.com"


@asynccontextmanager
async def serving(database: Database, **settings: Any) -> AsyncIterator[tuple[Running, httpx.AsyncClient]]:
    given = {"ofrep_calls_per_second": 0.0, **settings}
    async with (
        running(database, passwords=quick_passwords(), **given) as server,
        plain_client(server.http, timeout=30) as client,
    ):
        # The flags are loaded as the server starts, and in an empty database at once.
        await answered_by(client, 200 if given.get("flags_open_to") else 401)
        yield server, client


async def answered_by(client: httpx.AsyncClient, status: int, **headers: str) -> None:
    """Returns once a request with these headers is answered so."""
    async with asyncio.timeout(30):
        while True:
            if (await client.post(ALL, headers=headers)).status_code == status:
                return
            await asyncio.sleep(0.05)


async def until_known(client: httpx.AsyncClient, version: int) -> None:
    """Returns once the server evaluates from this configuration version, as a client that received it requests."""
    async with asyncio.timeout(30):
        await client.post(ALL, params={"flagConfigEtag": str(version)})


async def key_of(server: Running, *roles: str) -> tuple[str, Api, UUID]:
    """A service account's key, who can take it away, and the account."""
    admin = await server.sign_in("admin")
    wanted = accounts_pb2.ServiceAccount(name="page", roles=roles)
    request = access_pb.CreateServiceAccountRequest(service_account=wanted)
    made = await admin.access.CreateServiceAccount(request)
    return made.secret, admin, UUID(made.service_account.service_account_id)


class Events:
    """An event stream, read as EventSource does."""

    def __init__(self, response: httpx.Response) -> None:
        self.lines = response.aiter_lines()

    async def next(self) -> dict[str, str]:
        """The next event; comments are passed over."""
        found: dict[str, str] = {}
        async with asyncio.timeout(30):
            async for line in self.lines:
                if not line and "data" in found:
                    return found
                if line and not line.startswith(":"):
                    name, _, value = line.partition(": ")
                    found[name] = value
        raise AssertionError("the stream ended")

    async def end(self) -> None:
        """Returns once the server has ended it."""
        async with asyncio.timeout(30):
            async for _ in self.lines:
                pass


async def url_of(client: httpx.AsyncClient, **headers: str) -> str:
    answer = await client.post(ALL, json={}, headers=headers)
    (stream,) = answer.json()["eventStreams"]
    assert stream["type"] == "sse"
    return str(stream["endpoint"]["requestUri"])

"""Health by the standard protocol, and over HTTP."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc
import httpx
import pytest
from grpc_health.v1 import health_pb2

from server.process.server import Server
from server.settings import Address
from storage.database import Database
from tests.contract.methods import SERVICES
from tests.contract.probes import checked, watched
from tests.fixtures.applications import QUIET, application_of
from tests.fixtures.http import plain_client
from tests.fixtures.servers import Running

_PB2: Any = health_pb2

FOLLOWING = ("", "readiness", *(service.full_name for service in SERVICES))
"""Those that depend on the database."""


async def get(running: Running, path: str) -> httpx.Response:
    async with plain_client() as client:
        return await client.get(running.http + path)


@pytest.fixture
async def server_of_its_own(database: Database) -> AsyncIterator[Running]:
    """A server for this test alone, which can be made to drain."""
    application = application_of(database, QUIET)
    running = Server(application, Address("127.0.0.1:0"), Address("127.0.0.1:0"), QUIET)
    await running.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{running.grpc_port}") as channel:
        yield Running(application, running, database, channel)
    await running.stop()


async def test_a_ready_server_serves_under_every_name(server: Running) -> None:
    """Check and Watch agree."""
    for service in (*FOLLOWING, "liveness"):
        assert await checked(server.channel, service) == "SERVING", service
        async with asyncio.timeout(60):
            assert await anext(watched(server.channel, service)) == "SERVING", service


async def test_an_unknown_service_is_not_found(server: Running) -> None:
    """Watch sends SERVICE_UNKNOWN instead, as the protocol requires, since the service may be added later."""
    assert await checked(server.channel, "backroom.nothing.v1.NoService") == "NOT_FOUND"
    async with asyncio.timeout(60):
        assert await anext(watched(server.channel, "backroom.nothing.v1.NoService")) == "SERVICE_UNKNOWN"


async def test_a_list_tells_of_every_name(server: Running) -> None:
    """It reports the same status for each as Check does."""
    call: Any = server.channel.unary_unary("/grpc.health.v1.Health/List", None, _PB2.HealthListResponse.FromString)
    found = (await call(b"", timeout=60)).statuses
    assert {name: status.status for name, status in found.items()} == dict.fromkeys((*FOLLOWING, "liveness"), 1)


async def test_a_draining_server_is_alive_and_not_ready(server_of_its_own: Running) -> None:
    """Check, Watch and HTTP agree, for every name but liveness, while calls are still answered."""
    server = server_of_its_own
    watches = [watched(server.channel, service) for service in FOLLOWING]
    assert [await anext(watch) for watch in watches] == ["SERVING"] * len(watches)
    await server.application.health.drain()
    async with asyncio.timeout(60):
        assert [await anext(watch) for watch in watches] == ["NOT_SERVING"] * len(watches)
    assert {await checked(server.channel, service) for service in FOLLOWING} == {"NOT_SERVING"}
    assert await checked(server.channel, "liveness") == "SERVING"
    ready = await get(server, "/readyz")
    assert (ready.status_code, ready.json()) == (503, {"status": "not ready", "why": "stopping"})
    assert (await get(server, "/healthz")).status_code == 200


async def test_a_draining_server_stays_so(server_of_its_own: Running) -> None:
    """A database that responds does not make it ready again."""
    health = server_of_its_own.application.health
    await health.drain()
    await health.poll()
    assert await checked(server_of_its_own.channel, "readiness") == "NOT_SERVING"


async def test_http_probes_answer(server: Running) -> None:
    """Both probes succeed on a live and ready server, and no other path exists."""
    assert (await get(server, "/healthz")).json() == {"status": "alive"}
    assert (await get(server, "/readyz")).json() == {"status": "ready"}
    assert (await get(server, "/")).text == "Backroom\n"
    assert (await get(server, "/else")).status_code == 404
    async with plain_client() as client:
        assert (await client.post(f"{server.http}/metrics")).status_code == 405

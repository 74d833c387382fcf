"""Idle connections compete for the process's descriptors, and new callers are served all the same."""

import asyncio
import resource
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import grpc
import httpx
import pytest

from server.process.connections import ConnectionLimits
from server.process.descriptors import Descriptors
from tests.fixtures.processes import ServerProcess, serving
from tests.fixtures.servers import Api, Running
from tests.identity.people import me
from tests.process.wire import GREETING, closed

DESCRIPTORS = 256
PRESSING = 320
LOCAL = (("grpc.use_local_subchannel_pool", 1), ("grpc.enable_retries", 0))


@asynccontextmanager
async def pressed(server: ServerProcess, greeting: bytes, *, again: bool) -> AsyncIterator[None]:
    """This many connections that send only this; with `again`, each reconnects when it is closed."""

    async def press() -> None:
        while True:
            try:
                reader, writer = await asyncio.open_connection("127.0.0.1", server.grpc_port)
                async with closed(writer):
                    writer.write(greeting)
                    while await reader.read(1024):
                        pass
            except OSError:
                pass
            if not again:
                return
            await asyncio.sleep(0.05)

    pressing = [asyncio.create_task(press()) for _ in range(PRESSING)]
    await asyncio.sleep(0.2)
    try:
        yield
    finally:
        for each in pressing:
            each.cancel()
        await asyncio.gather(*pressing, return_exceptions=True)


async def served(server: ServerProcess, api: Api) -> None:
    """After how many seconds a new connection returns a response that needs the database."""
    async with grpc.aio.insecure_channel(server.address, LOCAL) as channel:
        answer = await me(Api(channel, api.token, api.account_id))
    assert answer.user.user_id == str(api.account_id)


@pytest.mark.parametrize(
    ("greeting", "again"),
    [
        (GREETING, True),
        pytest.param(GREETING, False, marks=pytest.mark.proof),
        pytest.param(b"", True, marks=pytest.mark.proof),
        pytest.param(b"", False, marks=pytest.mark.proof),
    ],
    ids=["idle, back at once", "idle", "silent, back at once", "silent"],
)
@pytest.mark.slow
async def test_a_fresh_client_is_served_while_idle_connections_compete(
    server: Running, database_url: str, greeting: bytes, *, again: bool
) -> None:
    """Within 2 s, whether they speak HTTP/2 or nothing, and reconnect or not; the HTTP side responds too."""
    api = await server.sign_in("customer")
    async with serving(database_url, descriptors=DESCRIPTORS) as process, pressed(process, greeting, again=again):
        async with asyncio.timeout(60):
            for _ in range(5):
                await served(process, api)
            async with httpx.AsyncClient(trust_env=False) as client:
                for _ in range(5):
                    answer = await client.get(f"http://127.0.0.1:{process.http_port}/readyz", timeout=20)
                    assert answer.status_code == 200


def test_the_fewer_descriptors_the_sooner_an_idle_connection_is_closed() -> None:
    """After a second if there are few, and after ten minutes if there are plenty."""
    assert [ConnectionLimits.of(limit).idle for limit in (64, 1024, 20_480, 1 << 20)] == [1, 1, 20, 600]
    assert [ConnectionLimits.of(limit).handshake for limit in (64, 1024, 20_480, 1 << 20)] == [1, 1, 10, 10]


def test_reserved_descriptors_are_available_only_within_the_block() -> None:
    """Outside it the process's limit is below them."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        found = Descriptors.raised()
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (found.limit, before[1])
        with found.reserved(), found.reserved():
            assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] == found.limit + 64
        assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] == found.limit
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)

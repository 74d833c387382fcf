"""A stopping server loses nothing."""

import asyncio
import signal

import grpc
import pytest

from server.frame.caller import Caller
from storage.database import Database
from storage.identity.records import Account
from tests.contract.probes import watched
from tests.contract.stand_ins import get_me
from tests.faults.load import Book, crowd, goods, until
from tests.fixtures.applications import QUIET, application_of
from tests.fixtures.processes import serving
from tests.fixtures.servers import sign_in
from tests.invariants import assert_kept, count_orders
from tests.process.servers import opened

ENOUGH = 20.0
"""In seconds: less than the 30 that calls under way have, more than a stop without any takes."""


@pytest.mark.slow
async def test_a_stop_under_load_answers_every_accepted_call(database: Database, database_url: str) -> None:
    """It becomes not ready, accepts calls until load balancers have noticed, answers them all, and exits with 0."""
    book = Book()
    async with (
        serving(database_url, BACKROOM_DRAIN_SECONDS="1") as server,
        grpc.aio.insecure_channel(server.address) as channel,
    ):
        api = await sign_in(application_of(database, QUIET), channel, ["service"])
        await goods(api)
        readiness = watched(channel, "readiness")
        assert await anext(readiness) == "SERVING"
        async with crowd(api, book):
            await until(lambda: len(book.ok) > 100)
            begun = set(book.asked)
            server.process.send_signal(signal.SIGTERM)
            assert await asyncio.wait_for(anext(readiness), 300) == "NOT_SERVING"
            answered = len(book.ok)
            await until(lambda: len(book.ok) > answered + 50)
            assert await asyncio.wait_for(server.process.wait(), 300) == 0
    assert begun <= set(book.ok)
    assert not book.refused
    assert count_orders(database_url) == len(book.ok)
    assert_kept(database_url, book.ok.values())


async def test_a_stop_waits_for_calls_under_way(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """Up to a limit; the call gets its response, and only then the server exits."""
    async with opened(database) as running:
        api = await running.sign_in("customer")
        accounts, gate, reached = running.application.identity.accounts, asyncio.Event(), asyncio.Event()
        as_before = accounts.get

        async def gated(caller: Caller) -> Account:
            reached.set()
            await gate.wait()
            return await as_before(caller)

        monkeypatch.setattr(accounts, "get", gated)
        call = get_me(api)
        await asyncio.wait_for(reached.wait(), 300)
        stop = asyncio.ensure_future(running.server.stop())
        done, _ = await asyncio.wait([stop], timeout=1)
        assert not done
        gate.set()
        assert (await call).user.user_id == str(api.account_id)
        await asyncio.wait_for(stop, ENOUGH)


@pytest.mark.parametrize("service", ["liveness", "readiness"])
async def test_an_open_health_watch_does_not_delay_a_stop(database: Database, service: str) -> None:
    """It would last as long as its caller wants, and is ended."""
    async with opened(database) as running:
        watch = watched(running.channel, service)
        assert await anext(watch) == "SERVING"
        await asyncio.wait_for(running.server.stop(), ENOUGH)
        with pytest.raises(grpc.aio.AioRpcError):
            async with asyncio.timeout(60):
                assert {status async for status in watch} == {"NOT_SERVING"}


async def test_a_stopped_server_refuses_connections(database: Database) -> None:
    """Both its ports are free again."""
    async with opened(database) as running:
        ports = (running.server.grpc_port, running.server.http_port)
        await running.server.stop()
    for port in ports:
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", port)

"""An intermediary drops and acknowledges everything that is sent on open connections; new ones work."""

import asyncio
from collections.abc import AsyncIterator

import psycopg
import pytest

from storage.connector import Connector
from storage.url import parameters
from tests.failover.proxy import Proxy, passing_on

FOUND_OUT_WITHIN_SECONDS = 60.0
"""It takes some five seconds on a machine that is free."""


@pytest.fixture
async def proxy(database_url: str) -> AsyncIterator[Proxy]:
    async with passing_on(int(parameters(database_url)["port"])) as passing:
        yield passing


@pytest.fixture
async def connector(database_url: str, proxy: Proxy) -> AsyncIterator[Connector]:
    name = parameters(database_url)["dbname"]
    made = Connector(f"postgresql://postgres@127.0.0.1:{proxy.port}/{name}", application_name="test-vanish")
    yield made
    await made.close()


async def test_a_connection_on_which_nothing_gets_through_is_given_up_with_all_idle_ones(
    proxy: Proxy, connector: Connector
) -> None:
    """A caller that waits on it gets an error within seconds, and a caller of another one immediately."""
    asked, idle = await connector.open(), await connector.open()
    proxy.vanish()
    async with asyncio.timeout(FOUND_OUT_WITHIN_SECONDS):
        with pytest.raises(psycopg.OperationalError, match="connection was lost"):
            await asked.execute("SELECT 1")
    assert idle.abandoned
    with pytest.raises(psycopg.OperationalError):
        await idle.execute("SELECT 1")
    again = await connector.open()
    await again.execute("SELECT 1")
    for each in (asked, idle, again):
        await each.close()


async def test_the_locks_of_an_unreachable_session_are_released(proxy: Proxy, connector: Connector) -> None:
    """The host cannot notice that its client is gone; also for a session that was cancelled meanwhile."""
    asked, cancelled = await connector.open(), await connector.open()
    await asked.execute("SELECT pg_advisory_xact_lock(1)")
    await cancelled.execute("SELECT pg_advisory_xact_lock(2)")
    proxy.vanish()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            await cancelled.execute("SELECT 1")
    with pytest.raises(psycopg.OperationalError, match="connection was lost"):
        await asked.execute("SELECT 1")
    async with asyncio.timeout(FOUND_OUT_WITHIN_SECONDS):
        again = await connector.open()
        await again.execute("SELECT pg_advisory_xact_lock(1), pg_advisory_xact_lock(2)")
    for each in (asked, again):
        await each.close()


async def test_a_working_session_is_left_alone_while_another_ones_connection_has_vanished(
    proxy: Proxy, connector: Connector
) -> None:
    """It responds, however long that takes, and although it started before."""
    vanished = await connector.open()
    proxy.vanish()
    working = await connector.open()
    slow = asyncio.create_task(working.execute("SELECT pg_sleep(12)"))
    async with asyncio.timeout(FOUND_OUT_WITHIN_SECONDS):
        with pytest.raises(psycopg.OperationalError, match="connection was lost"):
            await vanished.execute("SELECT 1")
        await slow
    assert working.abandoned == ""
    for each in (vanished, working):
        await each.close()

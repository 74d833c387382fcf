"""Something between swallows what is sent on connections that stand, and acknowledges it; new ones work."""

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


async def test_a_connection_on_which_nothing_gets_through_is_given_up_with_those_that_were_idle(
    proxy: Proxy, connector: Connector
) -> None:
    """Whoever waits on it is told in seconds, and whoever uses another one of them at once."""
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


async def test_the_locks_of_a_session_that_nobody_hears_are_let_go(proxy: Proxy, connector: Connector) -> None:
    """The host cannot notice that nobody is there any more; of one that was cancelled meanwhile, too."""
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


async def test_a_session_that_works_is_left_alone_while_another_one_s_connection_has_vanished(
    proxy: Proxy, connector: Connector
) -> None:
    """It answers, however long that takes, and though it began before."""
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

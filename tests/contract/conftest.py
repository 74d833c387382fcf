"""One server for all tests of the contract: none depends on what another left in it."""

from collections.abc import AsyncIterator
from uuid import uuid4

import psycopg
import pytest

from storage.database import Database
from storage.url import sibling
from tests.commerce.goods import stocked
from tests.contract.hostile import CANARY, SOLD
from tests.fixtures.keys import MASTER_KEYS
from tests.fixtures.servers import Api, Running, running
from tests.identity.records import execute


@pytest.fixture(scope="session")
async def contract_server(postgres: str) -> AsyncIterator[Running]:
    """A server with every module, which these tests share."""
    name = f"contract_{uuid4().hex}"
    with psycopg.connect(postgres, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE template")
    database = Database(sibling(postgres, name), audit_key=MASTER_KEYS.audit_key, pool_size=5)
    async with running(database) as opened:
        for sku in (CANARY, SOLD):
            await stocked(await opened.sign_in("admin"), sku, 1_000_000_000)
        yield opened
    await database.close()


@pytest.fixture
async def server(contract_server: Running) -> Running:
    """The shared server, with an empty log and no counted sign-in attempts."""
    await contract_server.idle()
    await execute(contract_server.database, "DELETE FROM identity.attempts")
    contract_server.log.clear()
    return contract_server


@pytest.fixture
async def powerless(server: Running) -> Api:
    """A signed-in account without roles."""
    return await server.sign_in()

"""One server for all of the contract's tests: none of them depends on what another left in it."""

from collections.abc import AsyncIterator, Iterator
from typing import Any
from uuid import uuid4

import grpc
import psycopg
import pytest
import structlog

from server.serving import Server
from server.settings import MODULES, Address
from server.wiring import Application
from storage.database import Database
from storage.url import sibling
from tests.commerce.goods import stocked
from tests.contract.hostile import CANARY, SOLD
from tests.fixtures.servers import Api, Running, sign_in


@pytest.fixture(scope="session")
async def contract_server(postgres: str) -> AsyncIterator[Running]:
    """A server with every module, which these tests share: each would need none of its own."""
    name = f"contract_{uuid4().hex}"
    with psycopg.connect(postgres, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE template")
    database = Database(sibling(postgres, name), pool_size=5)
    lines: list[dict[str, Any]] = []
    logger = structlog.wrap_logger(
        None, processors=[_keep_in(lines)], wrapper_class=structlog.make_filtering_bound_logger(0)
    )
    application = Application(database, MODULES, logger)
    running = Server(application, Address("127.0.0.1:0"), Address("127.0.0.1:0"), logger)
    await running.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{running.grpc_port}") as channel:
        for sku in (CANARY, SOLD):
            await stocked(await sign_in(application, channel, ["admin"]), sku, 1_000_000_000)
        yield Running(application, running, database, channel, lines)
    await running.stop()
    await database.close()


@pytest.fixture
def server(contract_server: Running) -> Iterator[Running]:
    """The shared server, with the log of one test alone."""
    contract_server.log.clear()
    yield contract_server
    contract_server.log.clear()


@pytest.fixture
async def powerless(server: Running) -> Api:
    """Somebody signed in who has no roles."""
    return await server.sign_in()


def _keep_in(lines: list[dict[str, Any]]) -> Any:
    def keep(_logger: Any, level: str, event: dict[str, Any]) -> Any:
        lines.append({"level": level, **event})
        raise structlog.DropEvent

    return keep

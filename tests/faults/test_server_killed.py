"""The server itself is killed, or starts into a world without a database."""

from contextlib import AsyncExitStack

import grpc
import pytest
import structlog

from backroom.commerce.v1 import catalog_service_pb2
from server.settings import MODULES
from server.wiring import Application
from storage.database import Database
from tests.contract.probes import becomes, checked
from tests.faults.cluster import Cluster
from tests.faults.invariants import assert_whole, count_orders
from tests.faults.load import Book, crowd, goods, until
from tests.fixtures.processes import serving
from tests.fixtures.servers import Api, sign_in


@pytest.fixture
def application(database: Database) -> Application:
    """Issues tokens that every server over this database takes."""
    logger = structlog.wrap_logger(None, wrapper_class=structlog.make_filtering_bound_logger("critical"))
    return Application(database, MODULES, logger)


async def test_a_killed_server_loses_no_order_and_doubles_none(application: Application, database_url: str) -> None:
    """kill -9 under load: what was answered is there, and repeating each request at a new server gives one order."""
    book = Book()
    async with serving(database_url) as first, grpc.aio.insecure_channel(first.address) as channel:
        api = await sign_in(application, channel, ["service"])
        await goods(api)
        async with crowd(api, book, callers=32):
            await until(lambda: len(book.ok) > 200)
            first.process.kill()
            await first.process.wait()
    assert book.unknown
    assert_whole(database_url, book.ok.values())
    async with serving(database_url) as second, grpc.aio.insecure_channel(second.address) as channel:
        repeated = await book.repeat(Api(channel, api.token, api.account_id))
    assert book.ok.items() <= repeated.items()
    assert_whole(database_url, repeated.values())
    assert count_orders(database_url) == len(book.asked)


async def test_a_server_that_starts_before_its_database_becomes_ready_with_it(
    application: Application, cluster: Cluster, database_url: str
) -> None:
    """In a cluster that comes up all at once, nobody has to start the server again."""
    async with AsyncExitStack() as stopped:
        await stopped.enter_async_context(cluster.stopped())
        async with serving(database_url) as server, grpc.aio.insecure_channel(server.address) as channel:
            assert await checked(channel, "readiness") == "NOT_SERVING"
            assert await checked(channel, "liveness") == "SERVING"
            await stopped.aclose()
            await becomes(channel, "readiness", "SERVING", within=5)
            api = await sign_in(application, channel, ["service"])
            await api.catalog.ListProducts(catalog_service_pb2.ListProductsRequest())

"""The server itself is killed, or starts while its database is unreachable."""

from contextlib import AsyncExitStack

import grpc

from backroom.commerce.v1 import catalog_service_pb2
from storage.database import Database
from tests.contract.probes import becomes, checked
from tests.faults.cluster import Cluster
from tests.faults.load import Book, crowd, goods, until
from tests.fixtures.processes import serving
from tests.fixtures.servers import Api
from tests.invariants import assert_kept, count_orders
from tests.process.servers import opened


async def test_a_killed_server_loses_and_doubles_no_order(service: Api, database_url: str) -> None:
    """kill -9 under load: answered orders exist, and repeating each request at another server gives one order."""
    await goods(service)
    book = Book()
    async with (
        serving(database_url) as server,
        grpc.aio.insecure_channel(server.address) as channel,
        crowd(Api(channel, service.token), book, callers=32),
    ):
        await until(lambda: len(book.ok) > 200)
        server.process.kill()
        await server.process.wait()
    assert book.unknown
    assert_kept(database_url, book.ok.values())
    find_answer = await book.repeat(service)
    assert book.ok.items() <= find_answer.items()
    assert_kept(database_url, find_answer.values())
    assert count_orders(database_url) == len(book.asked)


async def test_a_server_that_starts_before_its_database_becomes_ready_with_it(
    database: Database, cluster: Cluster
) -> None:
    """When a whole cluster starts at once, the server needs no second start."""
    async with AsyncExitStack() as stopped:
        await stopped.enter_async_context(cluster.stopped())
        async with opened(database) as running:
            assert await checked(running.channel, "readiness") == "NOT_SERVING"
            assert await checked(running.channel, "liveness") == "SERVING"
            await stopped.aclose()
            await becomes(running.channel, "readiness", "SERVING", within=60)
            api = await running.sign_in("service")
            await api.catalog.ListProducts(catalog_service_pb2.ListProductsRequest())
            await running.server.stop()

"""The load generator's connection against real servers."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import grpc
import pytest
import structlog
from google.type.money_pb2 import Money

from backroom.commerce.v1.catalog_service_pb2 import (
    CreateProductRequest,
    CreateProductResponse,
    GetProductRequest,
    GetProductResponse,
    ImportProductsRequest,
    ImportProductsResponse,
    ListProductsRequest,
    ListProductsResponse,
)
from backroom.commerce.v1.order_service_pb2 import (
    GetOrderRequest,
    LineItem,
    PlaceOrderRequest,
    PlaceOrdersRequest,
    PlaceOrdersResponse,
)
from backroom.commerce.v1.products_pb2 import Product
from load.calls import NotSent, Stream
from load.http2 import Connection
from load.sample import Refused
from load.statuses import Failed
from server.frame.interceptors import CallLimits, ConcurrencyLimits
from server.process.certificates import Certificates
from server.process.connections import ConnectionLimits
from server.process.edge import Edge
from storage.database import Database
from tests.client.fake_server import fake_server
from tests.client.played import refusal
from tests.fixtures.servers import Running, running
from tests.process.papers import authority, files_in, issued

CATALOG = "/backroom.commerce.v1.CatalogService"
ORDERS = "/backroom.commerce.v1.OrderService"
LARGE = "large " * 1600
"""A description that is nearly as long as one may be."""


@asynccontextmanager
async def signed_in(server: Running, window: int = 2**28) -> AsyncIterator[Connection]:
    """A connection as a service."""
    metadata = [("authorization", f"Bearer {(await server.sign_in('service')).token}")]
    connection = await Connection.open(server.address, metadata=metadata, window=window)
    try:
        yield connection
    finally:
        await connection.close()


@pytest.fixture
async def connection(server: Running) -> AsyncIterator[Connection]:
    async with signed_in(server) as opened:
        yield opened


async def ended(stream: Stream) -> None:
    while await stream.receive():
        pass


def product(sku: str, description: str = "") -> Product:
    return Product(sku=sku, description=description, price=Money(units=3, currency_code="GBP"))


async def imported(connection: Connection, count: int, description: str = "") -> int:
    """How many of this many products were created."""
    stream = await connection.stream(f"{CATALOG}/ImportProducts")
    for number in range(count):
        stream.send(ImportProductsRequest(product=product(f"TEA-{number:04}", description)).SerializeToString())
    stream.end_sending()
    answer = await stream.receive()
    assert answer is not None
    assert await stream.receive() is None
    return ImportProductsResponse.FromString(answer).created_count


async def test_concurrent_calls_each_get_their_own_response(connection: Connection) -> None:
    """Whatever the order in which the server responds."""
    await imported(connection, 100)
    get = connection.method(f"{CATALOG}/GetProduct")
    skus = [f"TEA-{number:04}" for number in range(100)]
    answers = await asyncio.gather(*(get(GetProductRequest(sku=sku).SerializeToString()) for sku in skus))
    assert [GetProductResponse.FromString(answer).product.sku for answer in answers] == skus


async def test_a_refused_call_fails_with_its_code(connection: Connection) -> None:
    """And the server's message; the connection continues."""
    get = connection.method(f"{CATALOG}/GetProduct")
    with pytest.raises(Failed) as missing:
        await get(GetProductRequest(sku="none").SerializeToString())
    assert (missing.value.code, missing.value.message) == ("NOT_FOUND", "No product has the SKU none.")
    with pytest.raises(Failed) as malformed:
        await connection.method(f"{ORDERS}/GetOrder")(GetOrderRequest(order_id="7").SerializeToString())
    assert malformed.value.code == "INVALID_ARGUMENT"
    assert await imported(connection, 1) == 1


async def test_an_unknown_method_is_unimplemented(connection: Connection) -> None:
    """It is no error of the connection."""
    with pytest.raises(Failed) as raised:
        await connection.method(f"{ORDERS}/Nothing")(b"")
    assert raised.value.code == "UNIMPLEMENTED"


async def test_a_call_without_a_token_is_not_signed_in(server: Running) -> None:
    """Its metadata comes from the connection."""
    connection = await Connection.open(server.address)
    with pytest.raises(Failed) as raised:
        await connection.method(f"{CATALOG}/GetProduct")(b"")
    assert raised.value.code == "UNAUTHENTICATED"
    await connection.close()


async def test_overload_refuses_with_a_time_to_retry(database: Database) -> None:
    """In seconds, from RetryInfo."""
    limits = CallLimits(ConcurrencyLimits(calls=1, streams=10))
    async with running(database, limits=limits) as opened, signed_in(opened) as connection:
        await imported(connection, 1)
        get = connection.method(f"{CATALOG}/GetProduct")
        request = GetProductRequest(sku="TEA-0000").SerializeToString()
        found = await asyncio.gather(*(get(request) for _ in range(50)), return_exceptions=True)
    refused = [one for one in found if isinstance(one, Refused)]
    assert refused
    assert {(one.code, one.retry_after) for one in refused} == {("RESOURCE_EXHAUSTED", 1.0)}
    assert len(refused) + sum(isinstance(one, bytes) for one in found) == 50


async def test_a_refusal_without_a_hint_has_none() -> None:
    """UNAVAILABLE is a temporary refusal, too."""
    async with fake_server() as fake:
        fake.refusals = [refusal(grpc.StatusCode.UNAVAILABLE, "DATABASE_UNAVAILABLE")]
        connection = await Connection.open(fake.address)
        with pytest.raises(Refused) as raised:
            await connection.method(f"{ORDERS}/GetOrder")(b"")
        assert (raised.value.code, raised.value.retry_after) == ("UNAVAILABLE", None)
        await connection.close()


async def test_orders_over_a_stream_are_answered_in_their_order(connection: Connection) -> None:
    """A refused one is answered like the others, and the stream continues until it is ended."""
    stream = await connection.stream(f"{ORDERS}/PlaceOrders")
    for number in range(3):
        order = PlaceOrderRequest(
            request_id=f"00000000-0000-4000-8000-{number:012}", lines=[LineItem(sku="none", quantity=1)]
        )
        stream.send(PlaceOrdersRequest(order=order).SerializeToString())
    for number in range(3):
        answer = PlaceOrdersResponse.FromString(await stream.receive() or b"")
        assert answer.request_id.endswith(str(number))
        assert answer.refusal.message
    stream.end_sending()
    assert await stream.receive() is None
    with pytest.raises(NotSent):
        stream.send(b"")


async def test_a_stream_ends_with_the_servers_error(connection: Connection) -> None:
    """For the sender as well as for the receiver."""
    stream = await connection.stream(f"{ORDERS}/PlaceOrders")
    stream.send(b"")
    with pytest.raises(Failed) as raised:
        await stream.receive()
    assert raised.value.code == "INVALID_ARGUMENT"
    with pytest.raises(Failed):
        stream.send(b"")


async def test_a_cancelled_stream_ends_on_both_sides(server: Running, connection: Connection) -> None:
    """Nothing is left under way in the server."""
    stream = await connection.stream(f"{ORDERS}/PlaceOrders")
    stream.send(PlaceOrdersRequest(order=PlaceOrderRequest(lines=[LineItem(sku="a", quantity=1)])).SerializeToString())
    await stream.receive()
    stream.cancel()
    with pytest.raises(Failed) as raised:
        await stream.receive()
    assert raised.value.code == "CANCELLED"
    await server.idle()


async def test_messages_larger_than_a_frame_work_in_both_directions(connection: Connection) -> None:
    """A megabyte exceeds the server's initial window, too: it waits for room, and arrives completely."""
    answer = await connection.method(f"{CATALOG}/CreateProduct")(
        CreateProductRequest(product=product("LARGE", LARGE)).SerializeToString()
    )
    assert CreateProductResponse.FromString(answer).product.description == LARGE
    lines = [LineItem(sku=f"{number:064}", quantity=1) for number in range(2000)]
    large = PlaceOrderRequest(lines=lines).SerializeToString()
    assert len(large) > 128 * 1024
    place = connection.method(f"{ORDERS}/PlaceOrder")
    found = await asyncio.gather(*(place(large) for _ in range(8)), return_exceptions=True)
    assert [one.code for one in found if isinstance(one, Failed)] == ["NOT_FOUND"] * 8
    assert await imported(connection, 200, LARGE) == 200


async def test_responses_larger_than_the_window_are_received_completely(server: Running) -> None:
    """The window is updated repeatedly."""
    async with signed_in(server, window=65_535) as narrow:
        await imported(narrow, 60, LARGE)
        listed = narrow.method(f"{CATALOG}/ListProducts")
        for _ in range(3):
            answers = await asyncio.gather(
                *(listed(ListProductsRequest(page_size=60).SerializeToString()) for _ in range(3))
            )
            for answer in answers:
                assert len(answer) > 8 * 65_535
                assert len(ListProductsResponse.FromString(answer).products) == 60


async def test_calls_above_a_connections_limit_wait_for_their_turn(database: Database) -> None:
    """A server whose load limit is the same refuses none then."""
    edge = Edge(connections=ConnectionLimits(streams=3))
    limits = CallLimits(ConcurrencyLimits(calls=3))
    async with running(database, edge=edge, limits=limits) as opened, signed_in(opened) as connection:
        await imported(connection, 1)
        get = connection.method(f"{CATALOG}/GetProduct")
        request = GetProductRequest(sku="TEA-0000").SerializeToString()
        found = await asyncio.gather(*(get(request) for _ in range(50)))
    assert {GetProductResponse.FromString(one).product.sku for one in found} == {"TEA-0000"}


async def test_a_server_that_stops_ends_the_calls(database: Database) -> None:
    """None waits forever, and no further one is sent."""
    async with running(database) as opened:
        connection = await Connection.open(opened.address)
        stream = await connection.stream("/grpc.health.v1.Health/Watch")
        stream.send(b"")
        stream.end_sending()
        assert await stream.receive()
    with pytest.raises((ConnectionError, Failed, Refused)):
        await ended(stream)
    assert connection.ending
    with pytest.raises(NotSent):
        await connection.method(f"{CATALOG}/GetProduct")(b"")
    await connection.close()


async def test_an_encrypted_server_is_called(database: Database, tmp_path: Path) -> None:
    """With the name in its certificate, and never without trusting its authority."""
    ca, files = authority(), files_in(tmp_path)
    files.hold(issued(ca, name="backroom.internal", address="10.0.0.7"))
    own = Certificates(files.certificate, files.key, structlog.get_logger())
    async with running(database, edge=Edge(own)) as opened:
        context = ssl.create_default_context(cadata=ca.pem.decode())
        context.set_alpn_protocols(["h2"])
        connection = await Connection.open(opened.address, tls=context, server_name="backroom.internal")
        with pytest.raises(Failed) as raised:
            await connection.method(f"{CATALOG}/GetProduct")(b"")
        assert raised.value.code == "UNAUTHENTICATED"
        await connection.close()
        for wrong in (ssl.create_default_context(), None):
            with pytest.raises(ConnectionError):
                await Connection.open(opened.address, tls=wrong, server_name="backroom.internal")


async def test_connecting_to_an_unused_port_fails() -> None:
    """The error names the address."""
    with pytest.raises(ConnectionError, match=r"127\.0\.0\.1:1: "):
        await Connection.open("127.0.0.1:1")

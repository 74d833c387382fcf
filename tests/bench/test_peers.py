"""The compared servers: each does the work that it is measured by, over its own protocol, on a real database."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Any, Literal
from uuid import UUID, uuid4

import grpc
import httpx
import psycopg
import pytest

from backroom.commerce.v1 import (
    catalog_service_pb2,
    catalog_service_pb2_grpc,
    order_service_pb2,
    order_service_pb2_grpc,
    orders_pb2,
)
from bench.measurements.sides import CONNECTIONS, bare_echo
from bench.peers.http1 import Connection, head
from bench.peers.serving import Served, echo, usual
from bench.peers.usual.database import create_engine
from bench.peers.usual.issuing import TokenIssuer
from bench.peers.usual.load import UsualShop
from bench.peers.usual.stocking import Goods, stock
from bench.totals import TotalsMismatch
from load.order_requests import Unexpected
from storage.url import sibling

pytestmark = pytest.mark.proof

PRICE = Decimal("2.55")
PERMISSIONS = (
    "orders.place",
    "orders.read",
    "catalog.read",
    "bookings.book",
    "tasks.read",
    "tasks.write",
    "files.upload",
)

Storage = Literal["orm", "core"]


class Usual:
    """A running peer, its database, and an account to call it with."""

    def __init__(self, served: Served, url: str, issuer: TokenIssuer) -> None:
        self.served = served
        self.url = url
        self.issuer = issuer
        self.account_id = uuid4()

    @property
    def client(self) -> httpx.AsyncClient:
        token = self.issuer.token(self.account_id, PERMISSIONS)
        return httpx.AsyncClient(
            base_url=f"http://{self.served.address}", headers={"Authorization": f"Bearer {token}"}, timeout=20
        )

    async def stocked(self, pieces: int) -> str:
        """The SKU of a new product."""
        sku = f"sku-{uuid4()}"
        engine = create_engine(self.url)
        await stock(engine, [Goods(sku, "", PRICE, "GBP")], pieces, received_by=uuid4())
        await engine.dispose()
        return sku

    def rows(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.url) as connection:
            return connection.execute(statement.encode(), values).fetchall()

    def level(self, sku: str) -> tuple[Any, ...]:
        """(on_hand, held)"""
        (found,) = self.rows(
            "SELECT on_hand, held FROM stock JOIN products ON products.id = product_id WHERE sku = %s", sku
        )
        return found


@contextmanager
def made_database(postgres: str) -> Iterator[str]:
    """The name of an empty database, which is dropped at the end of the block."""
    name = f"usual_{uuid4().hex}"
    with psycopg.connect(postgres, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}".encode())
        try:
            yield name
        finally:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


@pytest.fixture(scope="module", params=["orm", "core"])
def running_peer(postgres: str, request: pytest.FixtureRequest) -> Iterator[tuple[Served, str, TokenIssuer]]:
    """One process for each storage layer, for all tests here."""
    storage: Storage = request.param
    issuer = TokenIssuer()
    with made_database(postgres) as name:
        url = sibling(postgres, name)
        with usual(url, storage, issuer.public_key) as served:
            yield served, url, issuer


@pytest.fixture
def peer(running_peer: tuple[Served, str, TokenIssuer]) -> Usual:
    return Usual(*running_peer)


@pytest.fixture
async def client(peer: Usual) -> AsyncIterator[httpx.AsyncClient]:
    async with peer.client as client:
        yield client


def asking(*lines: tuple[str, int], **rest: object) -> dict[str, object]:
    return {"lines": [{"sku": sku, "quantity": quantity} for sku, quantity in lines], **rest}


def told(response: httpx.Response) -> tuple[int, str]:
    """A refusal's status and reason."""
    return response.status_code, response.json()["reason"]


async def test_placing_reserves_stock_and_writes_the_ledger(peer: Usual, client: httpx.AsyncClient) -> None:
    """One ledger row per line, one audit row, one idempotency record, and the whole order as the response."""
    one, two = await peer.stocked(10), await peer.stocked(10)
    request_id = uuid4()
    response = await client.post("/orders", json=asking((one, 3), (two, 1), (one, 2), request_id=str(request_id)))
    assert response.status_code == 201
    order = response.json()
    assert [(line["sku"], line["quantity"], line["amount"]) for line in order["lines"]] == [
        (one, 3, "7.650000000"),
        (two, 1, "2.550000000"),
        (one, 2, "5.100000000"),
    ]
    assert (order["total"], order["currency"], order["state"]) == ("15.300000000", "GBP", "pending")
    assert (order["line_count"], order["unit_count"]) == (3, 6)
    assert (order["placed_by"], order["customer_id"]) == (str(peer.account_id),) * 2
    assert (peer.level(one), peer.level(two)) == ((10, 5), (10, 1))
    ledger = "SELECT sku, held_delta, held_after FROM stock_movements JOIN products ON products.id = product_id"
    rows = peer.rows(f"{ledger} WHERE order_id = %s ORDER BY sequence", UUID(order["id"]))
    assert rows == [(one, 3, 3), (two, 1, 1), (one, 2, 5)]
    audit = peer.rows("SELECT caller_id, action, result FROM audit_entries WHERE resource = %s", f"order/{order['id']}")
    assert audit == [(peer.account_id, "POST /orders", "OK")]
    kept = peer.rows("SELECT order_id FROM idempotency_records WHERE request_id = %s", request_id)
    assert kept == [(UUID(order["id"]),)]
    assert (await client.get(f"/orders/{order['id']}")).json() == order


async def test_a_repetition_gets_the_first_answer(peer: Usual, client: httpx.AsyncClient) -> None:
    """It changes nothing, later or at the same time."""
    sku = await peer.stocked(100)
    ask = asking((sku, 2), request_id=str(uuid4()), reference=str(uuid4()))
    answers = await asyncio.gather(*(client.post("/orders", json=ask) for _ in range(5)))
    answers.append(await client.post("/orders", json=ask))
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.text for answer in answers}) == 1
    assert peer.level(sku) == (100, 2)
    assert len(peer.rows("SELECT FROM orders WHERE placed_by = %s", peer.account_id)) == 1


async def test_a_request_id_with_other_content_is_refused(peer: Usual, client: httpx.AsyncClient) -> None:
    """And so is a reference that another order has; neither reserves anything."""
    sku = await peer.stocked(10)
    request_id = str(uuid4())
    assert (await client.post("/orders", json=asking((sku, 1), request_id=request_id, reference="A"))).is_success
    reused = await client.post("/orders", json=asking((sku, 2), request_id=request_id, reference="A"))
    assert told(reused) == (422, "REQUEST_ID_REUSED")
    taken = await client.post("/orders", json=asking((sku, 1), request_id=str(uuid4()), reference="A"))
    assert told(taken) == (409, "REFERENCE_TAKEN")
    assert peer.level(sku) == (10, 1)
    assert len(peer.rows("SELECT FROM idempotency_records WHERE caller_id = %s", peer.account_id)) == 1


async def test_the_last_piece_goes_to_one_of_many(peer: Usual, client: httpx.AsyncClient) -> None:
    """Of 20 callers who order it and a second product in either order, 19 are refused as out of stock."""
    last, plenty = await peer.stocked(1), await peer.stocked(100)
    asks = [asking((last, 1), (plenty, 1)), asking((plenty, 1), (last, 1))] * 10
    answers = await asyncio.gather(*(client.post("/orders", json={**ask, "request_id": str(uuid4())}) for ask in asks))
    assert Counter(answer.status_code for answer in answers) == {201: 1, 409: 19}
    assert {told(answer)[1] for answer in answers if not answer.is_success} == {"OUT_OF_STOCK"}
    assert (peer.level(last), peer.level(plenty)) == ((1, 1), (100, 1))
    # A refusal is not stored.
    assert len(peer.rows("SELECT FROM idempotency_records WHERE caller_id = %s", peer.account_id)) == 1


async def test_access_is_checked(peer: Usual, client: httpx.AsyncClient) -> None:
    """No token and a foreign signature are 401, a missing permission is 403, and another's order is 404."""
    sku = await peer.stocked(10)
    assert (await client.post("/orders", json=asking((sku, 1)), headers={"Authorization": ""})).status_code == 401
    forged = TokenIssuer().token(peer.account_id, PERMISSIONS)
    reader, other = (peer.issuer.token(uuid4(), rights) for rights in (("orders.read",), PERMISSIONS))
    tries = [await client.post("/orders", json=asking((sku, 1)), headers=_bearing(each)) for each in (forged, reader)]
    assert [told(each) for each in tries] == [(401, "TOKEN_INVALID"), (403, "PERMISSION_MISSING")]
    assert peer.level(sku) == (10, 0)
    order_id = (await client.post("/orders", json=asking((sku, 1)))).json()["id"]
    assert told(await client.get(f"/orders/{order_id}", headers=_bearing(other))) == (404, "ORDER_NOT_FOUND")


async def test_a_body_out_of_bounds_is_refused(peer: Usual, client: httpx.AsyncClient) -> None:
    """No lines, no pieces, an unknown product, and a price that the caller may not set."""
    sku = await peer.stocked(10)
    bodies: list[dict[str, object]] = [{"lines": []}, asking((sku, 0)), asking((sku, 1), request_id="1")]
    for body in bodies:
        assert (await client.post("/orders", json=body)).status_code == 422
    assert told(await client.post("/orders", json=asking(("nothing", 1)))) == (404, "PRODUCT_NOT_FOUND")
    own_price = {"lines": [{"sku": sku, "quantity": 1, "unit_price": "0.01"}]}
    assert told(await client.post("/orders", json=own_price)) == (403, "PERMISSION_MISSING")
    assert peer.level(sku) == (10, 0)


async def test_lists_and_products_are_read(peer: Usual, client: httpx.AsyncClient) -> None:
    """Pages continue where the last ended, latest first; a product is found by its SKU and by its id."""
    sku = await peer.stocked(10)
    placed = [(await client.post("/orders", json=asking((sku, 1)))).json()["id"] for _ in range(5)]
    seen, token = [], ""
    while True:
        page = (await client.get("/orders", params={"page_size": 2, "page_token": token})).json()
        seen += [order["id"] for order in page["orders"]]
        if not (token := page["next_page_token"]):
            break
    assert seen == placed[::-1]
    assert told(await client.get("/orders?page_token=bm8=")) == (422, "PAGE_TOKEN_INVALID")
    product = (await client.get(f"/products/{sku}")).json()
    assert (product["sku"], product["price"], product["currency"]) == (sku, "2.550000000", "GBP")
    assert (await client.get(f"/products/{product['id']}")).json() == product
    assert told(await client.get(f"/products/{uuid4()}")) == (404, "PRODUCT_NOT_FOUND")


async def test_each_request_leaves_a_log_line_and_is_counted(peer: Usual, client: httpx.AsyncClient) -> None:
    """As uvicorn writes it, and as prometheus_client reports it."""
    await client.get("/healthz")
    assert '"GET /healthz HTTP/1.1" 200' in peer.served.log.read_text()
    metrics = (await client.get("/metrics/")).text
    assert 'http_requests_total{method="GET",path="/healthz",status="200"}' in metrics
    assert 'http_request_duration_seconds_count{method="GET",path="/healthz"}' in metrics


async def test_the_calls_of_a_bench_add_up(peer: Usual) -> None:
    """Each call of the bench runs, and the check finds any difference from the answered calls."""
    shop = await UsualShop.open(peer.served.address, peer.url, peer.issuer, products=3, pieces=1000, callers=10)
    for _ in range(6):
        await asyncio.gather(*(shop.place_hot(caller) for caller in range(10)))
    await asyncio.gather(*(shop.place_two(caller) for caller in range(10)))
    short = await shop.list_orders_on(2)
    with pytest.raises(Unexpected):
        await short(0)  # 20 orders are left for it
    for _ in range(3):
        await asyncio.gather(*(shop.place_hot(caller) for caller in range(10)))
    for call in (shop.get_order, shop.get_product, shop.list_orders, await shop.list_orders_on(2)):
        await call(0)
    await shop.check()
    peer.rows("UPDATE stock SET held = held - 1 WHERE held > 100 RETURNING 1")
    with pytest.raises(TotalsMismatch, match="stock"):
        await shop.check()
    await shop.close()


async def test_the_client_reports_a_broken_connection() -> None:
    """If the server closes it, during a call or before."""

    async def closing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nab")
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(closing, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        connection = await Connection.open("127.0.0.1", port)
        for _ in range(2):
            with pytest.raises(ConnectionError):
                await connection.call(b"GET", b"/", head("127.0.0.1", port))


async def test_the_echo_answers_as_backroom_does() -> None:
    """Complete messages: an order with a line, and a product."""
    with echo() as served:
        async with grpc.aio.insecure_channel(served.address) as channel:
            orders = order_service_pb2_grpc.OrderServiceStub(channel)
            placed = (await orders.PlaceOrder(order_service_pb2.PlaceOrderRequest())).order
            assert (await orders.GetOrder(order_service_pb2.GetOrderRequest())).order == placed
            catalog = catalog_service_pb2_grpc.CatalogServiceStub(channel)
            found = (await catalog.GetProduct(catalog_service_pb2.GetProductRequest())).product
    optional = {"reference", "cancel_reason"}
    assert {field.name for field, _ in placed.ListFields()} == set(
        orders_pb2.Order.DESCRIPTOR.fields_by_name
    ) - optional
    assert [line.sku for line in placed.lines] == [found.sku]
    assert (found.price, found.etag) == (placed.lines[0].unit_price, "v1")


async def test_the_calls_of_the_echo_accept_its_responses() -> None:
    """Each of the bench's calls reaches its method, over any connection."""
    async with bare_echo() as bare:
        for call in (bare.place_order, bare.get_order, bare.get_product):
            await asyncio.gather(*(call(caller) for caller in range(CONNECTIONS)))


def _bearing(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}

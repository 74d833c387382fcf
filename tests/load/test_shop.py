"""A bench's operations on the real server, and its totals."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from time import time
from uuid import UUID, uuid4

import pytest

from backroom.commerce.v1.inventory_service_pb2 import AdjustStockRequest
from backroom.commerce.v1.order_service_pb2 import LineItem, PlaceOrderRequest
from backroom.commerce.v1.orders_pb2 import Order, OrderLine, OrderState
from backroom.commerce.v1.stock_pb2 import StockReason
from backroom.identity.v1 import accounts_pb2
from backroom.identity.v1.access_service_pb2 import CreateServiceAccountRequest
from load.connections import Connections, Server
from load.order_requests import OrderRequest, OrderRequests, Unexpected
from load.sample import Refused
from load.shop import Shop
from load.statuses import Failed
from load.totals import Checked, ExpectedTotals, Kept, Mismatch
from server.frame.interceptors import CallLimits, ConcurrencyLimits
from storage.database import Database
from tests.client.fake_server import fake_server
from tests.faults.load import until
from tests.fixtures.servers import Api, Running, running

STOCK = 1_000_000
BENCH = UUID("5f0c7e3a-98d5-4c27-9f8e-1b2a3c4d5e6f")


async def key_of(api: Api, *roles: str) -> str:
    """The key of a new service account."""
    request = CreateServiceAccountRequest(
        service_account=accounts_pb2.ServiceAccount(name=f"bench-{uuid4()}", roles=roles or ["service"])
    )
    key: str = (await api.access.CreateServiceAccount(request)).secret
    return key


@pytest.fixture
async def shop(server: Running, admin: Api) -> AsyncIterator[Shop]:
    key = await key_of(admin)
    opened = await Shop.open(server.address, key, products=7, stock=STOCK, connections=2, bench_id=BENCH)
    yield opened
    await opened.close()


async def placed(shop: Shop, calls: int) -> None:
    for work in (shop.place_hot, shop.place_two):
        await asyncio.gather(*(work(caller) for caller in range(calls)))


async def test_orders_add_up(shop: Shop) -> None:
    """By calls and over streams: each product's stock, and the orders and their pieces."""
    await placed(shop, 20)
    streamed = await shop.stream_orders(0.3, in_flight=16, streams=2, warm_up=0.1)
    assert streamed.latencies
    assert not streamed.failures
    checked = await shop.check()
    assert checked.orders >= 40 + len(streamed.latencies)
    # One to three pieces of the hot product in turn, and four of two products together.
    assert checked.pieces >= 20 * 4 + 2 * len(streamed.latencies) + 39 - 3
    assert (checked.unanswered, checked.placed_unanswered) == (0, 0)


async def test_orders_are_read_back_as_they_were_placed(shop: Shop) -> None:
    """By their ids, and listed page by page."""
    await shop.fill(120)
    third = await shop.list_orders_on(3)
    with pytest.raises(Unexpected, match="a page of 20 orders"):
        await third(0)
    second = await shop.list_orders_on(2)
    for work in (shop.get_order, shop.get_product, shop.list_orders, second):
        await asyncio.gather(*(work(caller) for caller in range(8)))
    with pytest.raises(Unexpected, match="too few"):
        await shop.list_orders_on(2000)


async def test_an_unreported_piece_is_found(admin: Api, shop: Shop) -> None:
    """Stock that changed, and an order from another caller."""
    await placed(shop, 3)
    sku = f"bench-{BENCH.hex[:12]}-00002"
    reason = StockReason.STOCK_REASON_RECEIVED
    await admin.inventory.AdjustStock(AdjustStockRequest(sku=sku, delta=1, reason=reason))
    with pytest.raises(Mismatch, match=f"{sku}: 1,000,001 are on hand, 1,000,000 were received"):
        await shop.check()
    await admin.inventory.AdjustStock(
        AdjustStockRequest(sku=sku, delta=-1, reason=StockReason.STOCK_REASON_WRITTEN_OFF)
    )
    await shop.check()
    request = PlaceOrderRequest(customer_id=f"bench-{BENCH.hex[:12]}", lines=[LineItem(sku=sku, quantity=1)])
    await admin.orders.PlaceOrder(request)
    with pytest.raises(Mismatch, match="7 orders are kept, 6 were answered"):
        await shop.check()


async def test_an_unanswered_call_is_counted_separately(shop: Shop) -> None:
    """Its order may exist or not: either is allowed, and reported."""
    lost = [asyncio.ensure_future(shop.place_hot(caller)) for caller in range(5)]
    await asyncio.sleep(0)
    for call in lost[:3]:
        call.cancel()
    await asyncio.gather(*lost, return_exceptions=True)
    checked = await shop.check()
    assert checked.unanswered == 3
    assert checked.orders == 2 + checked.placed_unanswered


async def test_an_invalid_key_opens_no_shop(server: Running) -> None:
    """Nor does one that may not create products."""
    with pytest.raises(Failed, match="UNAUTHENTICATED"):
        await Shop.open(server.address, "brk_none", products=2, stock=1)
    customer = await key_of(await server.sign_in("admin"), "customer")
    with pytest.raises(Failed, match="PERMISSION_DENIED"):
        await Shop.open(server.address, customer, products=2, stock=1)


async def test_a_shop_is_stocked_on_a_server_with_a_low_call_limit(database: Database) -> None:
    """Temporarily refused calls are retried."""
    async with running(database, limits=CallLimits(ConcurrencyLimits(calls=20))) as opened:
        key = await key_of(await opened.sign_in("admin"))
        shop = await Shop.open(opened.address, key, products=40, stock=STOCK, connections=1)
        found = await asyncio.gather(*(shop.place_two(caller) for caller in range(100)), return_exceptions=True)
        refused = [one for one in found if isinstance(one, Refused)]
        assert refused
        assert {(one.code, one.retry_after) for one in refused} == {("RESOURCE_EXHAUSTED", 1.0)}
        checked = await shop.check()
        assert (checked.orders, checked.unanswered) == (100 - len(refused), 0)
        await shop.close()


async def test_a_token_is_renewed_before_it_expires() -> None:
    """Each connection is reopened by its next call, and calls under way on the old one are answered."""
    now = time()
    async with fake_server() as fake:
        connections = Connections(Server(fake.address, "a key"), 2, lambda: now)
        await connections.open()
        call = connections.method("/backroom.commerce.v1.OrderService/GetOrder")
        await asyncio.gather(*(call(caller, b"") for caller in range(4)))
        may_answer = asyncio.Event()

        async def answer_later() -> None:
            await may_answer.wait()

        fake.before_answer = answer_later
        under_way = asyncio.ensure_future(call(0, b""))
        await until(lambda: len(fake.tokens_seen) == 5)
        # A minute before the first token expires, and a moment more before the next one does.
        now = time() + 14 * 60
        renewed = [asyncio.ensure_future(call(caller, b"")) for caller in range(4)]
        await until(lambda: len(fake.tokens_seen) == 9)
        may_answer.set()
        await asyncio.gather(under_way, *renewed)
        await connections.close()
    assert fake.tokens_seen == ["Bearer 1"] * 5 + ["Bearer 2"] * 4


async def test_a_closed_connection_is_reopened() -> None:
    """By the first call that notices; concurrent ones wait for that."""
    async with fake_server() as fake:
        connections = Connections(Server(fake.address, "a key"), 1)
        await connections.open()
        call = connections.method("/backroom.commerce.v1.OrderService/GetOrder")
        await call(0, b"")
    with pytest.raises(ConnectionError):
        await call(0, b"")
    async with fake_server(fake.address) as again:
        await asyncio.gather(*(call(caller, b"") for caller in range(5)))
        assert again.tokens_seen == ["Bearer 1"] * 5
        await connections.close()


def test_orders_are_spread_evenly_over_all_products() -> None:
    """Two distinct products each, and all consecutive pairs differ."""
    order_requests = OrderRequests(BENCH, 100)
    made = [order_requests.two() for _ in range(10_000)]
    assert all(first != second for (first, _), (second, _) in (ask.lines for ask in made))
    counts = Counter(place for ask in made for place, _ in ask.lines)
    assert set(counts) == set(range(100))
    assert min(counts.values()) > 150
    assert max(counts.values()) < 250
    assert len({tuple(place for place, _ in ask.lines) for ask in made}) > 5_000
    assert len({ask.request_id for ask in made}) == 10_000


def test_a_request_is_a_valid_message() -> None:
    """Its concatenated parts are one message."""
    order_requests = OrderRequests(BENCH, 3)
    for ask in (order_requests.hot(), order_requests.two(), order_requests.hot()):
        read = PlaceOrderRequest.FromString(ask.request)
        assert UUID(read.request_id) == UUID(ask.request_id)
        assert [(order_requests.skus.index(line.sku), line.quantity) for line in read.lines] == list(ask.lines)
        assert read.customer_id == order_requests.customer
        assert read.hold_duration.seconds == 86_400


def order_of(order_requests: OrderRequests, ask: OrderRequest) -> Order:
    """The order as it should be answered."""
    prices = {product.sku: product.price for product in order_requests.products()}
    order = Order(state=OrderState.ORDER_STATE_PENDING)
    nanos = 0
    for place, pieces in ask.lines:
        price = prices[order_requests.skus[place]]
        order.lines.append(OrderLine(sku=order_requests.skus[place], quantity=pieces, unit_price=price))
        nanos += pieces * (price.units * 10**9 + price.nanos)
    order.total.units, order.total.nanos = divmod(nanos, 10**9)
    order.total.currency_code = "GBP"
    return order


def test_an_order_that_is_not_as_requested_is_found() -> None:
    """Its lines, their number, its sum, its currency and its state."""
    order_requests = OrderRequests(BENCH, 3)
    ask = order_requests.two()
    order_requests.expect(order_of(order_requests, ask), ask.lines)
    wrong = [order_of(order_requests, ask) for _ in range(6)]
    wrong[0].lines[0].sku = "another"
    wrong[1].lines[1].quantity += 1
    wrong[2].total.nanos += 1
    wrong[3].total.currency_code = "EUR"
    wrong[4].state = OrderState.ORDER_STATE_PAID
    del wrong[5].lines[0]
    for order in wrong:
        with pytest.raises(Unexpected):
            order_requests.expect(order, ask.lines)


def test_totals_find_every_difference() -> None:
    """Exactly if all was answered, and within the unanswered orders otherwise."""
    books = ExpectedTotals(["A", "B"], 100)
    books.place([(0, 2), (1, 1)])
    levels = [(100, 2), (100, 1)]
    assert books.check(Kept(levels, 1, 3)) == Checked(1, 3, 0, 0)
    wrong = {
        "A: 99 are on hand, 100 were received": Kept([(99, 2), (100, 1)], 1, 3),
        "B: 2 are reserved, the answers say 1": Kept([(100, 2), (100, 2)], 1, 4),
        "A: 1 are reserved, the answers say 2": Kept([(100, 1), (100, 1)], 1, 2),
        "2 orders are kept, 1 were answered": Kept(levels, 2, 3),
        "0 orders are kept, 1 were answered": Kept(levels, 0, 3),
        "3 pieces are reserved, the orders have 4": Kept(levels, 1, 4),
    }
    for said, kept in wrong.items():
        with pytest.raises(Mismatch, match=said):
            books.check(kept)
    books.add_unanswered([(1, 3)])
    assert books.check(Kept(levels, 1, 3)) == Checked(1, 3, 1, 0)
    assert books.check(Kept([(100, 2), (100, 4)], 2, 6)) == Checked(2, 6, 1, 1)
    for kept in (Kept([(100, 2), (100, 5)], 2, 7), Kept(levels, 3, 3), Kept([(100, 3), (100, 1)], 2, 4)):
        with pytest.raises(Mismatch):
            books.check(kept)

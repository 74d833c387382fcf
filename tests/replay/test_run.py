"""The replay against a small shop that misbehaves as a test says."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from datetime import datetime
from decimal import Decimal
from typing import Any

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2
from google.type.money_pb2 import Money
from grpc_status import rpc_status

from backroom.commerce.v1 import (
    catalog_service_pb2_grpc,
    inventory_service_pb2_grpc,
    order_service_pb2_grpc,
    payment_service_pb2_grpc,
)
from backroom.commerce.v1.catalog_service_pb2 import ImportProductsRequest, ImportProductsResponse
from backroom.commerce.v1.inventory_service_pb2 import AdjustStockRequest, AdjustStockResponse
from backroom.commerce.v1.order_service_pb2 import PlaceOrderRequest, PlaceOrdersRequest, PlaceOrdersResponse
from backroom.commerce.v1.orders_pb2 import Order as PlacedOrder
from backroom.commerce.v1.orders_pb2 import OrderLine
from backroom.commerce.v1.payment_service_pb2 import CreatePaymentRequest, CreatePaymentResponse
from backroom_client import AsyncBackroom
from replay.calling import RETRY_SECONDS, ReplayFailed, Step
from replay.dataset import Dataset, Line, NotReplayed, Order, WriteOff
from replay.figures import Figures, Outcome
from replay.placing import ORDERS_IN_FLIGHT
from replay.run import replay
from tests.replay.watched import Steps

MORNING = datetime(2010, 12, 1, 8, 26)


def dataset(orders: int) -> Dataset:
    """This many orders of two lines: together 3 units and GBP 3.003."""
    lines = (Line("TEA", "TEA SET", 2, Decimal("1.5")), Line("MUG", "A MUG", 1, Decimal("0.003")))
    return Dataset(
        tuple(Order(str(number), MORNING, "", "EIRE", lines) for number in range(1, orders + 1)),
        (WriteOff("w", 1, "MUG", "broken", 4),),
        (),
        NotReplayed(0, 0),
        "digest",
    )


def status(code: grpc.StatusCode, reason: str, *, retry: bool = False) -> status_pb2.Status:
    made = status_pb2.Status(code=code.value[0], message=f"it is {reason}")
    details: list[Message] = [error_details_pb2.ErrorInfo(domain="backroom", reason=reason)]
    if retry:
        details.append(error_details_pb2.RetryInfo(retry_delay=Duration(nanos=1)))
    for detail in details:
        made.details.add().Pack(detail)
    return made


UNAVAILABLE = status(grpc.StatusCode.UNAVAILABLE, "STOPPING")
PAYMENT_PROVIDER_NOT_CONFIGURED = status(grpc.StatusCode.FAILED_PRECONDITION, "PAYMENT_PROVIDER_NOT_CONFIGURED")


async def refuse(context: Any, with_status: status_pb2.Status) -> None:
    """Ends a call after its response has started, so that gRPC does not retry it, and the replay has to."""
    rich = rpc_status.to_status(with_status)
    await context.abort(rich.code, rich.details, rich.trailing_metadata)


class Shop:
    """The requests that the fake services got, and their refusals."""

    def __init__(self) -> None:
        self.address = ""
        self.streams = 0
        self.asked: list[PlaceOrderRequest] = []
        self.imported: list[ImportProductsRequest] = []
        self.stock: Counter[str] = Counter()
        self.break_stream: Callable[[int, int], bool] = lambda _stream, _answered: False
        """Whether a stream, by its number, breaks before its next response."""
        self.refuse_order: Callable[[PlaceOrderRequest], status_pb2.Status | None] = lambda _order: None
        self.refuse_adjustment: Callable[[AdjustStockRequest], status_pb2.Status | None] = lambda _request: None
        self.may_answer = asyncio.Event()
        self.may_answer.set()
        self.window_filled = asyncio.Event()

    def times_asked(self) -> Counter[str]:
        return Counter(order.reference for order in self.asked)


class Catalog(catalog_service_pb2_grpc.CatalogServiceServicer):
    def __init__(self, shop: Shop) -> None:
        self._shop = shop

    async def ImportProducts(  # noqa: N802
        self, requests: AsyncIterator[ImportProductsRequest], _context: Any
    ) -> ImportProductsResponse:
        self._shop.imported = [request async for request in requests]
        return ImportProductsResponse()


class Inventory(inventory_service_pb2_grpc.InventoryServiceServicer):
    def __init__(self, shop: Shop) -> None:
        self._shop = shop

    async def AdjustStock(self, request: AdjustStockRequest, context: Any) -> AdjustStockResponse:  # noqa: N802
        refused = self._shop.refuse_adjustment(request)
        await context.send_initial_metadata(())
        if refused is not None:
            await refuse(context, refused)
        self._shop.stock[request.sku] += request.delta
        return AdjustStockResponse()


class Orders(order_service_pb2_grpc.OrderServiceServicer):
    def __init__(self, shop: Shop) -> None:
        self._shop = shop

    async def PlaceOrders(  # noqa: N802
        self, requests: AsyncIterator[PlaceOrdersRequest], context: Any
    ) -> AsyncIterator[PlaceOrdersResponse]:
        await context.send_initial_metadata(())
        waiting: asyncio.Queue[PlaceOrderRequest | None] = asyncio.Queue()
        reading = asyncio.create_task(self._read(requests, waiting))
        self._shop.streams += 1
        stream, answered = self._shop.streams, 0
        try:
            while True:
                await self._shop.may_answer.wait()
                if self._shop.break_stream(stream, answered):
                    await refuse(context, UNAVAILABLE)
                order = await waiting.get()
                if order is None:
                    return
                answered += 1
                yield self._answer(order)
        finally:
            reading.cancel()

    async def _read(
        self, requests: AsyncIterator[PlaceOrdersRequest], waiting: "asyncio.Queue[PlaceOrderRequest | None]"
    ) -> None:
        async for request in requests:
            self._shop.asked.append(request.order)
            if len(self._shop.asked) == ORDERS_IN_FLIGHT:
                self._shop.window_filled.set()
            await waiting.put(request.order)
        await waiting.put(None)

    def _answer(self, order: PlaceOrderRequest) -> PlaceOrdersResponse:
        refused = self._shop.refuse_order(order)
        if refused is not None:
            return PlaceOrdersResponse(request_id=order.request_id, refusal=refused)
        lines = [
            OrderLine(sku=line.sku, quantity=line.quantity, amount=amount(line.unit_price, line.quantity))
            for line in order.lines
        ]
        return PlaceOrdersResponse(request_id=order.request_id, order=PlacedOrder(lines=lines))


class Payments(payment_service_pb2_grpc.PaymentServiceServicer):
    """This shop has no payment provider; payments are tested against the real server."""

    async def CreatePayment(self, _request: CreatePaymentRequest, context: Any) -> CreatePaymentResponse:  # noqa: N802
        await refuse(context, PAYMENT_PROVIDER_NOT_CONFIGURED)
        raise AssertionError


def amount(price: Money, quantity: int) -> Money:
    nanos = (price.units * 10**9 + price.nanos) * quantity
    return Money(currency_code=price.currency_code, units=nanos // 10**9, nanos=nanos % 10**9)


@pytest.fixture
async def shop() -> AsyncIterator[Shop]:
    made = Shop()
    server = grpc.aio.server()
    catalog = Catalog(made)  # type: ignore[abstract]  # it answers what a replay calls, and nothing else
    inventory = Inventory(made)  # type: ignore[abstract]  # it answers what a replay calls, and nothing else
    orders = Orders(made)  # type: ignore[abstract]  # it answers what a replay calls, and nothing else
    payments = Payments()  # type: ignore[abstract]  # it answers what a replay calls, and nothing else
    catalog_service_pb2_grpc.add_CatalogServiceServicer_to_server(catalog, server)
    inventory_service_pb2_grpc.add_InventoryServiceServicer_to_server(inventory, server)
    order_service_pb2_grpc.add_OrderServiceServicer_to_server(orders, server)
    payment_service_pb2_grpc.add_PaymentServiceServicer_to_server(payments, server)
    made.address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    await server.start()
    yield made
    await server.stop(None)


async def replayed(shop: Shop, orders: int, steps: Steps | None = None) -> Outcome:
    async def at_once(_: float) -> None:
        await asyncio.sleep(0)

    async with AsyncBackroom(shop.address) as client:
        return await asyncio.wait_for(replay(client, dataset(orders), steps or Steps(), sleep=at_once), 60)


async def test_products_stock_orders_and_write_offs_are_replayed(shop: Shop) -> None:
    """The figures come from the responses, and the stock ends with only the ordered goods on hand."""
    steps = Steps()
    outcome = await replayed(shop, 10, steps)
    assert outcome.figures == Figures(10, 20, 30, Decimal("30.03"), 2)
    assert outcome.complete
    assert (outcome.write_offs, outcome.written_off_units) == (1, 4)
    assert [request.product.sku for request in shop.imported] == ["TEA", "MUG"]
    assert shop.stock == {"TEA": 20, "MUG": 10}
    assert steps.done == {
        Step.IMPORT: (2, 2),
        Step.RECEIVE: (2, 2),
        Step.PLACE: (10, 10),
        Step.PAY: (0, 10),
        Step.WRITE_OFF: (1, 1),
    }


async def test_a_broken_stream_continues_with_the_first_unanswered_order(shop: Shop) -> None:
    """However often it breaks: nothing is lost or counted twice, and repeated requests have the same request_id."""
    shop.break_stream = lambda _stream, answered: answered == 3
    outcome = await replayed(shop, 40)
    assert outcome.figures == Figures(40, 80, 120, Decimal("120.12"), 2)
    assert shop.streams == 14 > len(RETRY_SECONDS)
    assert set(shop.times_asked()) == {str(number) for number in range(1, 41)}
    assert len({(order.reference, order.request_id) for order in shop.asked}) == 40


async def test_a_stream_that_always_breaks_is_given_up(shop: Shop) -> None:
    """After a bounded number of attempts without a response."""
    shop.break_stream = lambda stream, answered: answered == 1 if stream == 1 else True
    # gRPC itself reports INTERNAL if the last of the streams broke while it was still being written.
    told = "not all orders placed: (UNAVAILABLE: STOPPING: it is STOPPING|INTERNAL: Internal error from Core)"
    with pytest.raises(ReplayFailed, match=told):
        await replayed(shop, 3)
    assert shop.streams == 1 + len(RETRY_SECONDS)


async def test_never_more_orders_are_unanswered_than_allowed(shop: Shop) -> None:
    """A slow server is not flooded."""
    shop.may_answer.clear()
    run = asyncio.create_task(replayed(shop, ORDERS_IN_FLIGHT + 50))
    await asyncio.wait_for(shop.window_filled.wait(), 300)
    await asyncio.sleep(0.1)
    assert len(shop.asked) == ORDERS_IN_FLIGHT
    shop.may_answer.set()
    assert (await run).figures.orders == ORDERS_IN_FLIGHT + 50


async def test_a_refused_order_is_counted_with_its_reason_and_the_others_are_placed(shop: Shop) -> None:
    """Refusals are reported, never swallowed."""
    refused = status(grpc.StatusCode.FAILED_PRECONDITION, "OUT_OF_STOCK")
    shop.refuse_order = lambda order: refused if order.reference in {"2", "3"} else None
    outcome = await replayed(shop, 5)
    assert outcome.figures.orders == 3
    (refusals,) = outcome.refusals
    assert (refusals.what, refusals.reason, refusals.count) == ("order", "OUT_OF_STOCK", 2)
    assert refusals.example == "order 2: it is OUT_OF_STOCK"
    assert not outcome.complete


async def test_a_temporarily_refused_order_is_sent_again(shop: Shop) -> None:
    """The server said when to retry; it is retried, but not forever."""
    busy = status(grpc.StatusCode.ABORTED, "CONTENTION", retry=True)
    shop.refuse_order = lambda order: busy if order.reference == "2" and shop.times_asked()["2"] < 3 else None
    assert (await replayed(shop, 5)).complete
    shop.refuse_order = lambda order: busy if order.reference == "2" else None
    outcome = await replayed(shop, 5)
    assert [(refusals.reason, refusals.count) for refusals in outcome.refusals] == [("CONTENTION", 1)]
    assert outcome.figures.orders == 4


async def test_a_refused_write_off_is_counted_and_not_booked(shop: Shop) -> None:
    """The same holds for every change."""
    refused = status(grpc.StatusCode.FAILED_PRECONDITION, "STOCK_TOO_LOW")
    shop.refuse_adjustment = lambda request: refused if request.delta < 0 else None
    outcome = await replayed(shop, 1)
    assert [(refusals.what, refusals.reason) for refusals in outcome.refusals] == [("write-off", "STOCK_TOO_LOW")]
    assert (outcome.write_offs, outcome.written_off_units) == (0, 0)


async def test_a_missing_permission_ends_the_replay(shop: Shop) -> None:
    """A reason that refuses every change is reported once, with the step."""
    refused = status(grpc.StatusCode.PERMISSION_DENIED, "PERMISSION_MISSING")
    shop.refuse_adjustment = lambda _request: refused
    with pytest.raises(ReplayFailed, match="not all products stocked: PERMISSION_DENIED: PERMISSION_MISSING"):
        await replayed(shop, 1)
    assert not shop.asked


async def test_a_stock_adjustment_is_retried_while_the_server_is_unreachable(shop: Shop) -> None:
    """A restart takes longer than gRPC's own retries."""
    tries: Counter[str] = Counter()

    def refuse_at_first(request: AdjustStockRequest) -> status_pb2.Status | None:
        tries[request.request_id] += 1
        return UNAVAILABLE if tries[request.request_id] <= 5 else None

    shop.refuse_adjustment = refuse_at_first
    assert (await replayed(shop, 1)).complete
    assert set(tries.values()) == {6}


async def test_a_response_for_another_order_ends_the_replay(shop: Shop) -> None:
    """Figures counted from mixed-up responses would be worthless."""

    def mix_up(order: PlaceOrderRequest) -> None:
        order.request_id = "another"

    shop.refuse_order = mix_up
    with pytest.raises(ReplayFailed, match="not all orders placed: order 1 was not answered"):
        await replayed(shop, 2)

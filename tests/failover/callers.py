"""Concurrent callers: each repeats its request, under the same request_id, until it knows the outcome."""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any

import grpc
from google.type.money_pb2 import Money

from backroom.commerce.v1 import order_service_pb2 as orders_pb2
from backroom.commerce.v1 import payments_pb2
from backroom.commerce.v1.catalog_service_pb2 import CreateProductRequest
from backroom.commerce.v1.inventory_service_pb2 import AdjustStockRequest
from backroom.commerce.v1.payment_service_pb2 import CreatePaymentRequest, RefundPaymentRequest
from backroom.commerce.v1.products_pb2 import Product
from backroom.commerce.v1.stock_pb2 import STOCK_REASON_RECEIVED
from backroom.identity.v1.identity_service_pb2 import RegisterRequest
from backroom.webhooks.v1 import endpoints_pb2
from backroom.webhooks.v1.webhook_service_pb2 import CreateEndpointRequest
from backroom_client import AsyncBackroom, refusal_from
from tests.failover.book import Ask, Attempt, Book, Kind, Outcome, judged, judged_refusal
from tests.failover.waiting import now

MARK, TEA = "MARK", "TEA"
"""Each order has as many pieces of the first as its request's number, by which the checker recognizes it."""
CUSTOMERS = 4
_DEADLINE_SECONDS = 10.0
_PAUSE_SECONDS = (0.02, 0.1)
_AGAIN_SECONDS = 0.2
_PROBE_SECONDS = 0.15
_MAX_PROBES = 150
"""At a time, for one server: as many as hang while nothing is answered."""
_STREAMED = 5
_CALLERS = 8
_WEIGHTS = {
    Kind.ORDER: 40,
    Kind.STREAM: 6,
    Kind.CANCEL: 12,
    Kind.ADJUST: 12,
    Kind.PRODUCT: 6,
    Kind.PAYMENT: 14,
    Kind.REFUND: 5,
    Kind.REGISTER: 1,
    Kind.ENDPOINT: 1,
}


def customer_of(number: int) -> str:
    return f"customer-{number % CUSTOMERS}"


async def open_shop(door: AsyncBackroom) -> None:
    """Creates two products with more stock than the callers can order."""
    for sku in (MARK, TEA):
        product = Product(sku=sku, name=sku, price=Money(currency_code="GBP", nanos=10_000_000))
        await door.catalog.CreateProduct(CreateProductRequest(product=product))
        request = AdjustStockRequest(sku=sku, delta=1_000_000_000, reason=STOCK_REASON_RECEIVED)
        await door.inventory.AdjustStock(request)


class Crowd:
    """Callers of several servers, who record their requests and the answers in the book."""

    def __init__(self, book: Book, doors: Sequence[AsyncBackroom], hook: str) -> None:
        """`doors` are the servers, in order; `hook` is where webhooks are to be sent."""
        self._book = book
        self._doors = doors
        self._hook = hook
        self._leaving = asyncio.Event()
        self._given_up = asyncio.Event()
        self._unsold: list[str] = []
        """Orders without further requests."""
        self._paid: list[str] = []
        self._callers: list[asyncio.Task[None]] = []

    def start(self) -> None:
        self._callers = [asyncio.create_task(self._call(number)) for number in range(_CALLERS)]
        self._callers += [asyncio.create_task(self._probe(server)) for server in range(len(self._doors))]

    async def leave(self, timeout_seconds: float) -> None:
        """Stops new requests; returns when every outcome is known, or gives up after this many seconds."""
        self._leaving.set()
        gone = asyncio.gather(*self._callers)
        try:
            await asyncio.wait_for(asyncio.shield(gone), timeout_seconds)
        except TimeoutError:
            self._given_up.set()
            await gone

    async def close(self) -> None:
        for caller in self._callers:
            caller.cancel()
        await asyncio.gather(*self._callers, return_exceptions=True)

    async def order(self, server: int) -> Ask:
        """One order, requested until its outcome is known, first from this server."""
        ask = self._book.open(Kind.ORDER)
        await self._until_known(ask, server)
        return ask

    async def _probe(self, server: int) -> None:
        """Orders at a fixed rate, whatever happens to earlier ones: they show since when a server answers."""
        waiting: set[asyncio.Task[Ask]] = set()
        while not self._leaving.is_set():
            if len(waiting) < _MAX_PROBES:
                task = asyncio.create_task(self.order(server))
                waiting.add(task)
                task.add_done_callback(waiting.discard)
            await asyncio.sleep(_PROBE_SECONDS)
        await asyncio.gather(*waiting)

    async def _call(self, number: int) -> None:
        kinds, weights = list(_WEIGHTS), list(_WEIGHTS.values())
        while not self._leaving.is_set():
            server = number % len(self._doors)
            await self._act(random.choices(kinds, weights)[0], server)  # noqa: S311 - not for secrets
            await asyncio.sleep(random.uniform(*_PAUSE_SECONDS))  # noqa: S311 - not for secrets

    async def _act(self, kind: Kind, server: int) -> None:
        if kind is Kind.STREAM:
            await self._stream(server)
            return
        source = {Kind.CANCEL: self._unsold, Kind.PAYMENT: self._unsold, Kind.REFUND: self._paid}.get(kind)
        if source is not None and not source:
            return
        subject = source.pop(0) if source is not None else ""
        ask = self._book.open(kind, subject)
        await self._until_known(ask, server)
        if ask.outcome is Outcome.OK:
            self._remember(ask)

    def _remember(self, ask: Ask) -> None:
        if ask.kind is Kind.ORDER:
            self._unsold.append(ask.answer)
        elif ask.kind is Kind.PAYMENT:
            self._paid.append(ask.answer)

    async def _until_known(self, ask: Ask, server: int) -> None:
        """Tries one server after the other."""
        while not self._given_up.is_set():
            await self._attempt(ask, server)
            if ask.outcome in (Outcome.OK, Outcome.FAIL) or _is_throttled(ask):
                return
            server = (server + 1) % len(self._doors)
            await asyncio.sleep(_AGAIN_SECONDS)

    async def _attempt(self, ask: Ask, server: int) -> None:
        began = now()
        try:
            ask.answer = await _CALLS[ask.kind](self._doors[server], ask, self._hook)
            outcome, said = Outcome.OK, ""
        except grpc.aio.AioRpcError as error:
            outcome, said = judged(error)
        ask.attempts.append(Attempt(server, began, now(), outcome, said))

    async def _stream(self, server: int) -> None:
        """Several orders over one stream; unanswered ones are requested one by one."""
        asks = [self._book.open(Kind.ORDER) for _ in range(_STREAMED)]
        await self._streamed(asks, server)
        for ask in asks:
            if ask.outcome in (Outcome.UNKNOWN, Outcome.LATER):
                await self._until_known(ask, server)
            if ask.outcome is Outcome.OK:
                self._remember(ask)

    async def _streamed(self, asks: Sequence[Ask], server: int) -> None:
        unanswered = {ask.request_id: ask for ask in asks}
        began, said = now(), "the stream ended"
        try:
            async for answer in self._doors[server].orders.PlaceOrders(_requests(asks), timeout=_DEADLINE_SECONDS):
                self._answered(unanswered.pop(answer.request_id), answer, server, began)
        except grpc.aio.AioRpcError as error:
            said = judged(error)[1]
        for ask in unanswered.values():
            ask.attempts.append(Attempt(server, began, now(), Outcome.UNKNOWN, said))

    def _answered(self, ask: Ask, answer: orders_pb2.PlaceOrdersResponse, server: int, began: float) -> None:
        if answer.HasField("order"):
            ask.answer = answer.order.order_id
            ask.attempts.append(Attempt(server, began, now(), Outcome.OK, ""))
            return
        refusal = refusal_from(answer.refusal)
        outcome = judged_refusal(refusal if refusal.reason else None, refusal.code)
        ask.attempts.append(Attempt(server, began, now(), outcome, f"{refusal.code.name} / {refusal.reason}"))


def _is_throttled(ask: Ask) -> bool:
    """Whether one network has used up its registrations for some minutes."""
    return ask.kind is Kind.REGISTER and ask.outcome is Outcome.LATER


async def _requests(asks: Sequence[Ask]) -> AsyncIterator[orders_pb2.PlaceOrdersRequest]:
    for ask in asks:
        yield orders_pb2.PlaceOrdersRequest(order=order_request(ask))


def order_request(ask: Ask) -> orders_pb2.PlaceOrderRequest:
    lines = [orders_pb2.LineItem(sku=MARK, quantity=ask.number), orders_pb2.LineItem(sku=TEA, quantity=1)]
    return orders_pb2.PlaceOrderRequest(request_id=ask.request_id, customer_id=customer_of(ask.number), lines=lines)


async def _order(door: AsyncBackroom, ask: Ask, _hook: str) -> str:
    return str((await door.orders.PlaceOrder(order_request(ask), timeout=_DEADLINE_SECONDS)).order.order_id)


async def _cancel(door: AsyncBackroom, ask: Ask, _hook: str) -> str:
    request = orders_pb2.CancelOrderRequest(request_id=ask.request_id, order_id=ask.subject)
    return str((await door.orders.CancelOrder(request, timeout=_DEADLINE_SECONDS)).order.order_id)


async def _adjust(door: AsyncBackroom, ask: Ask, _hook: str) -> str:
    content: dict[str, Any] = {"sku": TEA, "delta": 1, "reason": STOCK_REASON_RECEIVED, "note": ask.note}
    await door.inventory.AdjustStock(
        AdjustStockRequest(request_id=ask.request_id, **content), timeout=_DEADLINE_SECONDS
    )
    return ask.note


async def _product(door: AsyncBackroom, ask: Ask, _hook: str) -> str:
    product = Product(sku=f"P-{ask.number}", name=ask.note, price=Money(currency_code="GBP", units=1))
    request = CreateProductRequest(request_id=ask.request_id, product=product)
    return str((await door.catalog.CreateProduct(request, timeout=_DEADLINE_SECONDS)).product.product_id)


async def _payment(door: AsyncBackroom, ask: Ask, _hook: str) -> str:
    request = CreatePaymentRequest(
        request_id=ask.request_id, payment=payments_pb2.Payment(order_id=ask.subject, method="card_ok")
    )
    return str((await door.payments.CreatePayment(request, timeout=_DEADLINE_SECONDS)).payment.payment_id)


async def _refund(door: AsyncBackroom, ask: Ask, _hook: str) -> str:
    request = RefundPaymentRequest(request_id=ask.request_id, payment_id=ask.subject, note=ask.note)
    return str((await door.payments.RefundPayment(request, timeout=_DEADLINE_SECONDS)).payment.payment_id)


async def _register(door: AsyncBackroom, ask: Ask, _hook: str) -> str:
    name, password = f"ask-{ask.number}@example.com", f"violet-{ask.request_id}"
    request = RegisterRequest(request_id=ask.request_id, email=name, password=password)
    return str((await door.identity.Register(request, timeout=_DEADLINE_SECONDS)).user.user_id)


async def _endpoint(door: AsyncBackroom, ask: Ask, hook: str) -> str:
    content: dict[str, Any] = {
        "url": f"{hook}/{ask.number}",
        "description": ask.note,
        "event_types": ["order.refunded"],
    }
    request = CreateEndpointRequest(request_id=ask.request_id, endpoint=endpoints_pb2.Endpoint(**content))
    return str((await door.webhooks.CreateEndpoint(request, timeout=_DEADLINE_SECONDS)).endpoint.endpoint_id)


_CALLS: dict[Kind, Callable[[AsyncBackroom, Ask, str], Awaitable[str]]] = {
    Kind.ORDER: _order,
    Kind.CANCEL: _cancel,
    Kind.ADJUST: _adjust,
    Kind.PRODUCT: _product,
    Kind.PAYMENT: _payment,
    Kind.REFUND: _refund,
    Kind.REGISTER: _register,
    Kind.ENDPOINT: _endpoint,
}

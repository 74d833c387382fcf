"""A client that knows nothing of Backroom: bare stubs, no retries, a very long deadline, one address list."""

import asyncio
from collections.abc import Sequence
from typing import Any, Self

import grpc

from backroom.commerce.v1.catalog_service_pb2 import GetProductRequest, GetProductResponse
from backroom.commerce.v1.catalog_service_pb2_grpc import CatalogServiceStub
from backroom.commerce.v1.order_service_pb2 import PlaceOrderResponse
from backroom.commerce.v1.order_service_pb2_grpc import OrderServiceStub
from backroom.identity.v1.access_service_pb2 import ExchangeKeyRequest
from backroom.identity.v1.access_service_pb2_grpc import AccessServiceStub
from tests.failover.book import Ask, Attempt, Book, Kind, Outcome, judged
from tests.failover.callers import MARK, order_request
from tests.failover.waiting import now

_CALLS_PER_SECOND = 200
_ORDERED = 4
"""One of so many calls is an order."""
_MAX_UNDER_WAY = 100
"""Above that it waits: otherwise a busy machine's server would be overloaded, which is not what a restart tests."""
_BEHIND_SECONDS = 0.1
"""It makes up for at most this much of its delay."""
_DEADLINE_SECONDS = 30.0
_POLICIES = ("pick_first", "round_robin")
"""gRPC's own two ways to use several addresses; the first is its default."""

Stubs = tuple[Any, Any]
"""Of orders and of the catalog; their types know blocking calls alone."""


class PlainClient:
    """This many calls a second from its start to its end, over default gRPC channels; fewer if it must wait."""

    def __init__(self, addresses: Sequence[str], key: str, book: Book) -> None:
        self.failed: list[str] = []
        self.count = 0
        self._target = "ipv4:" + ",".join(addresses)
        self._key = key
        self._book = book
        self._channels: list[grpc.aio.Channel] = []
        self._calling: asyncio.Task[None] | None = None
        self._done = asyncio.Event()

    async def __aenter__(self) -> Self:
        self._channels = [
            grpc.aio.insecure_channel(self._target, [("grpc.lb_policy_name", policy)]) for policy in _POLICIES
        ]
        answer = await AccessServiceStub(self._channels[0]).ExchangeKey(ExchangeKeyRequest(key=self._key))
        self._calling = asyncio.create_task(self._call(f"Bearer {answer.access_token}"))
        return self

    async def __aexit__(self, *_: object) -> None:
        self._done.set()
        if self._calling is not None:
            await self._calling
        for channel in self._channels:
            await channel.close()

    async def _call(self, bearer: str) -> None:
        stubs = [(OrderServiceStub(channel), CatalogServiceStub(channel)) for channel in self._channels]
        under_way: set[asyncio.Task[None]] = set()
        due = now()
        while not self._done.is_set():
            if len(under_way) < _MAX_UNDER_WAY:
                kind = Kind.ORDER if self.count // len(stubs) % _ORDERED == 0 else Kind.READ
                task = asyncio.create_task(self._ask(kind, stubs[self.count % len(stubs)], bearer))
                under_way.add(task)
                task.add_done_callback(under_way.discard)
                self.count += 1
            due = max(due + 1 / _CALLS_PER_SECOND, now() - _BEHIND_SECONDS)
            await asyncio.sleep(max(0.0, due - now()))
        await asyncio.gather(*under_way)

    async def _ask(self, kind: Kind, stubs: Stubs, bearer: str) -> None:
        """Once, whatever the outcome."""
        ask = self._book.open(kind)
        began = now()
        try:
            answered = await _answer(stubs, ask, (("authorization", bearer),))
        except grpc.aio.AioRpcError as error:
            outcome, said = judged(error)
            self.failed.append(said)
        else:
            outcome, said, ask.answer = Outcome.OK, "", answered
        ask.attempts.append(Attempt(0, began, now(), outcome, said))


async def _answer(stubs: Stubs, ask: Ask, metadata: Sequence[tuple[str, str]]) -> str:
    """The id of what was placed or found."""
    rest: dict[str, Any] = {"metadata": metadata, "timeout": _DEADLINE_SECONDS}
    if ask.kind is Kind.ORDER:
        placed: PlaceOrderResponse = await stubs[0].PlaceOrder(order_request(ask), **rest)
        return placed.order.order_id
    found: GetProductResponse = await stubs[1].GetProduct(GetProductRequest(sku=MARK), **rest)
    return found.product.product_id

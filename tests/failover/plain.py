"""A client that knows nothing of Backroom: bare stubs, no retry, no deadline to speak of, one address list."""

import asyncio
from collections.abc import Sequence
from typing import Any, Self

import grpc

from backroom.commerce.v1.order_service_pb2 import PlaceOrderResponse
from backroom.commerce.v1.order_service_pb2_grpc import OrderServiceStub
from backroom.identity.v1.access_service_pb2 import ExchangeKeyRequest
from backroom.identity.v1.access_service_pb2_grpc import AccessServiceStub
from tests.failover.book import Attempt, Book, Kind, Outcome, judged
from tests.failover.callers import order_request
from tests.failover.waiting import now

_CALLS_PER_SECOND = 200
_MOST_UNDER_WAY = 100
"""Beyond, it waits: on a busy machine a server would be overloaded, which is another matter than a restart."""
_BEHIND_SECONDS = 0.1
"""It makes up for no more than so much of what it has not called in time."""
_DEADLINE_SECONDS = 30.0
_POLICIES = ("pick_first", "round_robin")
"""gRPC's own two ways to use several addresses; the first is its default."""


class PlainClient:
    """So many calls a second from its start to its end, by channels as gRPC opens them; fewer where it must wait."""

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
        stubs = [OrderServiceStub(channel) for channel in self._channels]
        under_way: set[asyncio.Task[None]] = set()
        due = now()
        while not self._done.is_set():
            if len(under_way) < _MOST_UNDER_WAY:
                task = asyncio.create_task(self._place(stubs[self.count % len(stubs)], bearer))
                under_way.add(task)
                task.add_done_callback(under_way.discard)
                self.count += 1
            due = max(due + 1 / _CALLS_PER_SECOND, now() - _BEHIND_SECONDS)
            await asyncio.sleep(max(0.0, due - now()))
        await asyncio.gather(*under_way)

    async def _place(self, stub: Any, bearer: str) -> None:
        ask = self._book.open(Kind.ORDER)
        began = now()
        try:
            answer: PlaceOrderResponse = await stub.PlaceOrder(
                order_request(ask), metadata=(("authorization", bearer),), timeout=_DEADLINE_SECONDS
            )
        except grpc.aio.AioRpcError as error:
            outcome, said = judged(error)
            self.failed.append(said)
        else:
            outcome, said, ask.answer = Outcome.OK, "", answer.order.order_id
        ask.attempts.append(Attempt(0, began, now(), outcome, said))

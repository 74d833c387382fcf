"""Callers that watch orders, resume wherever they were, and know everything in the end."""

import asyncio
from collections import Counter
from contextlib import aclosing
from dataclasses import dataclass, field

import grpc

from backroom.commerce.v1.order_service_pb2 import ListOrdersRequest, WatchOrdersRequest, WatchOrdersResponse
from backroom.commerce.v1.orders_pb2 import Order, OrderState
from backroom_client import AsyncBackroom, AsyncWatch, refusal_of
from tests.failover.waiting import comes_true

_AGAIN_SECONDS = 0.3
_BEGINS_WITHIN_SECONDS = 60.0
_PAGE = 1000
_PASSES = {grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED}

Change = tuple[str, str]
"""An order's id and the state that it came to."""


@dataclass
class Watcher:
    """Watches the orders of one customer, or of all; it knows what a copy of the orders would hold."""

    door: AsyncBackroom
    """To whichever server answers."""
    customer: str = ""
    known: dict[str, str] = field(default_factory=dict)
    """The state of each order, by its id."""
    received: list[Change] = field(default_factory=list)
    """What was received since it began, or since it listed all anew, in its order."""
    listings: int = 0
    """How often its token was refused, so that it listed again."""
    refused: list[str] = field(default_factory=list)
    """Refusals that a watch must not get."""
    token: str = ""
    _following: asyncio.Task[None] | None = None
    _begun: asyncio.Event = field(default_factory=asyncio.Event)

    async def start(self) -> None:
        """Resumes from the stored token, or starts from now; returns once it receives something, even only a token.

        If it receives nothing at all, that is recorded like a refusal.
        """
        self._begun.clear()
        self._following = asyncio.create_task(self._follow())
        try:
            await asyncio.wait_for(self._begun.wait(), _BEGINS_WITHIN_SECONDS)
        except TimeoutError:
            self.refused.append(f"nothing for {_BEGINS_WITHIN_SECONDS:.0f} s")

    async def stop(self) -> None:
        """Stops the watch, and keeps its token."""
        if self._following is not None:
            self._following.cancel()
            await asyncio.wait([self._following])
            self._following = None

    async def knows(self, truth: dict[str, str], within: float) -> bool:
        """Whether it knows exactly this within this many seconds."""
        return await comes_true(lambda: self.known == truth, within)

    @property
    def twice(self) -> list[Change]:
        """The changes that it received more than once."""
        return [change for change, count in Counter(self.received).items() if count > 1]

    async def _follow(self) -> None:
        expired = False
        while True:
            try:
                if expired:
                    await self._begin_anew()
                    expired = False
                request = WatchOrdersRequest(resume_token=self.token, customer_id=self.customer)
                async for message in AsyncWatch(self.door.orders.WatchOrders, request):
                    self._hear(message)
            except grpc.aio.AioRpcError as error:
                refusal = refusal_of(error)
                expired = expired or (refusal is not None and refusal.reason == "RESUME_TOKEN_EXPIRED")
                if refusal is not None and not expired and error.code() not in _PASSES:
                    self.refused.append(f"{error.code().name} / {refusal.reason}")
            await asyncio.sleep(_AGAIN_SECONDS)

    def _hear(self, message: WatchOrdersResponse) -> None:
        self.token = message.resume_token
        if message.HasField("order"):
            change = (message.order.order_id, state_of(message.order))
            self.received.append(change)
            self.known[change[0]] = change[1]
        self._begun.set()

    async def _begin_anew(self) -> None:
        """First a token from now on, and then a list of everything: the watch sends what happens in between."""
        request = WatchOrdersRequest(customer_id=self.customer)
        async with aclosing(aiter(AsyncWatch(self.door.orders.WatchOrders, request))) as messages:
            first = await anext(messages)
        self.known = await self._listed()
        self.token = first.resume_token
        self.received.clear()
        self.listings += 1
        self._begun.set()

    async def _listed(self) -> dict[str, str]:
        found: dict[str, str] = {}
        page = ListOrdersRequest(page_size=_PAGE, customer_id=self.customer)
        while True:
            answer = await self.door.orders.ListOrders(page)
            found |= {order.order_id: state_of(order) for order in answer.orders}
            if not answer.next_page_token:
                return found
            page.page_token = answer.next_page_token


def state_of(order: Order) -> str:
    return OrderState.Name(order.state).removeprefix("ORDER_STATE_").lower()

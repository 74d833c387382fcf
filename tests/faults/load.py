"""Concurrent callers that place orders, and a record of each outcome: ok, refused, or unknown."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import grpc

from backroom.commerce.v1 import order_service_pb2 as pb
from tests.commerce.goods import ask, stocked
from tests.contract.proto_comments import documented
from tests.fixtures.servers import Api, refused

PLACE_ORDER = "/backroom.commerce.v1.OrderService/PlaceOrder"
_UNKNOWN = {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.CANCELLED}
"""The caller does not know whether the order was placed."""


@dataclass
class Book:
    """The outcome of each request."""

    ok: dict[str, str] = field(default_factory=dict)
    """The order's id, by the request_id that placed it."""
    refused: dict[str, str] = field(default_factory=dict)
    """The reason, by request_id; the order was not placed."""
    unknown: dict[str, pb.PlaceOrderRequest] = field(default_factory=dict)
    """By request_id; the order may have been placed."""
    asked: dict[str, pb.PlaceOrderRequest] = field(default_factory=dict)

    async def place(self, api: Api, request: pb.PlaceOrderRequest) -> None:
        """Places an order and records its outcome; an undocumented one fails the test."""
        self.asked[request.request_id] = request
        try:
            answer = await api.orders.PlaceOrder(request, timeout=10)
        except asyncio.CancelledError:
            self.unknown[request.request_id] = request
            raise
        except grpc.aio.AioRpcError as error:
            self._note(request, error)
        else:
            self.ok[request.request_id] = answer.order.order_id

    async def repeat(self, api: Api) -> dict[str, str]:
        """Repeats every request, and returns the order in each answer."""
        orders = await asyncio.gather(*(_placed(api, request) for request in self.asked.values()))
        return dict(zip(self.asked, orders, strict=True))

    def _note(self, request: pb.PlaceOrderRequest, error: grpc.aio.AioRpcError) -> None:
        if error.code() in _UNKNOWN:
            self.unknown[request.request_id] = request
            return
        found = refused(error)
        assert documented()[PLACE_ORDER].get(found.reason) == found.code.name, found
        self.refused[request.request_id] = found.reason


async def _placed(api: Api, request: pb.PlaceOrderRequest) -> str:
    """The order's id; a call may still use a lost connection, and is then retried."""
    for _ in range(10):
        try:
            return str((await api.orders.PlaceOrder(request)).order.order_id)
        except grpc.aio.AioRpcError as error:
            if error.code() is not grpc.StatusCode.UNAVAILABLE:
                raise
    raise AssertionError("the server does not come back")


async def goods(api: Api) -> None:
    """Two products with more stock than the callers can order."""
    await stocked(api, "TEA", 1_000_000)
    await stocked(api, "MUG", 1_000_000)


def any_order() -> pb.PlaceOrderRequest:
    return ask(("TEA", 1), ("MUG", 2), ("TEA", 3))


@asynccontextmanager
async def crowd(api: Api, book: Book, *, callers: int = 16) -> AsyncIterator[None]:
    """This many callers place orders one after the other, until the block ends and their last calls are answered."""
    gone = asyncio.Event()

    async def call() -> None:
        while not gone.is_set():
            await book.place(api, any_order())
            await asyncio.sleep(0)

    async with asyncio.TaskGroup() as group:
        for _ in range(callers):
            group.create_task(call())
        try:
            yield
        finally:
            gone.set()


async def until(true: Callable[[], bool], *, within: float = 120) -> None:
    """Returns once the condition is true; raises TimeoutError after a timeout."""
    async with asyncio.timeout(within):
        while not true():  # noqa: ASYNC110 - it is told by nobody
            await asyncio.sleep(0.01)

"""Orders, over one stream that is reopened when it breaks."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import aclosing

import grpc

from backroom.commerce.v1.order_service_pb2 import PlaceOrdersRequest, PlaceOrdersResponse
from backroom_client import AsyncBackroom, refusal_from
from replay import plan
from replay.calling import RETRY_SECONDS, Calls, Step, may_pass, reason_of
from replay.dataset import Order
from replay.figures import Figures, Tally, UnexpectedAnswer, placed_lines

ORDERS_IN_FLIGHT = 256


class Placing:
    """Places orders, and counts what was sold from the responses."""

    def __init__(self, client: AsyncBackroom, calls: Calls) -> None:
        self._client = client
        self._calls = calls
        self._tally = Tally()
        self._placed: dict[str, str] = {}

    @property
    def figures(self) -> Figures:
        return self._tally.figures()

    async def place(self, orders: Sequence[Order]) -> Mapping[str, str]:
        """Places the orders, and retries those for which the server was too busy; returns their ids by invoice."""
        self._calls.progress.begin(Step.PLACE, len(orders))
        for delay in (*RETRY_SECONDS[::2], None):
            orders = await self._place(orders, again=delay is not None)
            if not orders or delay is None:
                break
            await self._calls.sleep(delay)
        return self._placed

    async def _place(self, orders: Sequence[Order], *, again: bool) -> Sequence[Order]:
        """Places orders; returns those that were refused temporarily and are to be retried."""
        postponed: list[Order] = []
        async with aclosing(self._answers(orders)) as answers:
            async for order, response in answers:
                refusal = refusal_from(response.refusal) if response.WhichOneof("outcome") == "refusal" else None
                if again and refusal is not None and refusal.retry_delay is not None:
                    postponed.append(order)
                    continue
                if refusal is not None:
                    self._calls.refuse("order", f"order {order.invoice}", reason_of(refusal), refusal.message)
                else:
                    self._placed[order.invoice] = response.order.order_id
                    self._tally.add(placed_lines(response.order))
                self._calls.progress.advance()
        return postponed

    async def _answers(self, orders: Sequence[Order]) -> AsyncGenerator[tuple[Order, PlaceOrdersResponse], None]:
        """Yields each order with its response, in order.

        A broken stream is reopened and continues with the first unanswered order: the server may have placed it, and
        recognizes it by its request_id.
        """
        answered = 0
        delays = iter(RETRY_SECONDS)
        while answered < len(orders):
            try:
                async with aclosing(self._stream(orders[answered:])) as responses:
                    async for order, response in responses:
                        yield order, response
                        answered += 1
                        delays = iter(RETRY_SECONDS)
            except grpc.aio.AioRpcError as error:
                delay = next(delays, None)
                if delay is None or not may_pass(error):
                    raise
                await self._calls.sleep(delay)

    async def _stream(self, orders: Sequence[Order]) -> AsyncGenerator[tuple[Order, PlaceOrdersResponse], None]:
        """One PlaceOrders call, with a bounded number of unanswered orders."""
        room = asyncio.Semaphore(ORDERS_IN_FLIGHT)
        ended = False

        async def requests() -> AsyncIterator[PlaceOrdersRequest]:
            for order in orders:
                await room.acquire()
                if ended:
                    return
                yield PlaceOrdersRequest(order=plan.order_request(order))

        call = self._client.orders.PlaceOrders(requests())
        try:
            for order in orders:
                yield order, _answer_to(order, await call.read())
                room.release()
            if await call.read() is not grpc.aio.EOF:
                raise UnexpectedAnswer("there were more answers than orders")
        finally:
            # gRPC waits for the next request even in a broken call.
            ended = True
            room.release()
            call.cancel()


def _answer_to(order: Order, response: object) -> PlaceOrdersResponse:
    if not isinstance(response, PlaceOrdersResponse) or response.request_id != plan.order_request_id(order):
        raise UnexpectedAnswer(f"order {order.invoice} was not answered")
    return response

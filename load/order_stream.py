"""Orders placed over one PlaceOrders stream, by many concurrent callers."""

import asyncio
from collections import deque

from backroom.commerce.v1.order_service_pb2 import PlaceOrderRequest, PlaceOrdersRequest, PlaceOrdersResponse
from backroom.commerce.v1.orders_pb2 import Order
from load.calls import Stream
from load.order_requests import OrderRequest, Unexpected
from load.sample import Refused
from load.statuses import failure_from

PLACE_ORDERS = "/backroom.commerce.v1.OrderService/PlaceOrders"


class OrderStream:
    """Responses arrive in the order of the requests."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._waiting: deque[asyncio.Future[PlaceOrdersResponse]] = deque()
        self._reading = asyncio.create_task(self._read())

    async def place(self, planned: OrderRequest) -> Order:
        """The order as placed; raises its refusal, or the error that ended the stream."""
        request = PlaceOrdersRequest(order=PlaceOrderRequest.FromString(planned.request))
        self._stream.send(request.SerializeToString())
        answer: asyncio.Future[PlaceOrdersResponse] = asyncio.get_running_loop().create_future()
        self._waiting.append(answer)
        answered = await answer
        if answered.request_id != planned.request_id:
            raise Unexpected(f"the answer to {answered.request_id} in the place of that to {planned.request_id}")
        if answered.HasField("refusal"):
            raise failure_from(answered.refusal)
        return answered.order

    async def close(self) -> None:
        """Ends the stream, and waits until the server has; raises the stream's error, unless a caller got it."""
        self._stream.end_sending()
        await self._reading

    async def abandon(self) -> None:
        """Ends the stream now, whatever its state; does nothing if it has ended."""
        self._stream.cancel()
        await asyncio.gather(self._reading, return_exceptions=True)

    async def _read(self) -> None:
        try:
            await self._answer_all()
            ended: Exception = ConnectionError("the stream ended before it answered")
        except Exception as error:
            if not self._waiting:
                raise
            # Unless refused before any work, any of them may have been placed.
            ended = error if isinstance(error, Refused) else ConnectionError(f"the stream ended: {error}")
        for answer in self._waiting:
            if not answer.done():
                answer.set_exception(ended)

    async def _answer_all(self) -> None:
        while (message := await self._stream.receive()) is not None:
            answered = PlaceOrdersResponse.FromString(message)
            if not self._waiting:
                raise Unexpected(f"an answer to {answered.request_id}, which was not requested")
            answer = self._waiting.popleft()
            if not answer.done():
                answer.set_result(answered)

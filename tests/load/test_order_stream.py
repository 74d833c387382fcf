"""Orders over a stream, for which the test plays the server."""

import asyncio
from uuid import uuid4

import pytest
from google.rpc import code_pb2, status_pb2

from backroom.commerce.v1.order_service_pb2 import PlaceOrdersRequest, PlaceOrdersResponse
from backroom.commerce.v1.orders_pb2 import Order
from load.calls import NotSent, Stream, framed
from load.order_requests import OrderRequests, Unexpected
from load.order_stream import OrderStream
from load.sample import Refused
from load.statuses import Failed


class Line:
    """Records what is sent."""

    def __init__(self) -> None:
        self.text: list[bytes] = []
        self.ended = False
        self.cancelled = False

    def say(self, _number: int, payload: bytes, *, ends: bool) -> None:
        self.text.append(payload)
        self.ended |= ends

    def cancel(self, _number: int, error: Exception | None = None) -> None:
        self.cancelled = error is None


class Played:
    """A stream with three orders under way."""

    def __init__(self) -> None:
        self.line = Line()
        self._stream = Stream(self.line)
        self._stream.begin(1)
        self.orders = OrderStream(self._stream)
        order_requests = OrderRequests(uuid4(), 2)
        self.order_requests = [order_requests.two() for _ in range(3)]
        self.placing = [asyncio.ensure_future(self.orders.place(ask)) for ask in self.order_requests]

    async def started(self) -> None:
        await asyncio.sleep(0)
        assert [PlaceOrdersRequest.FromString(said[5:]).order.request_id for said in self.line.text] == [
            ask.request_id for ask in self.order_requests
        ]

    def answer(self, place: int, **outcome: Order | status_pb2.Status) -> None:
        response = PlaceOrdersResponse(request_id=self.order_requests[place].request_id, **outcome)  # type: ignore[arg-type]  # one of them
        self._stream.take(framed(response.SerializeToString()))

    def end(self, error: Exception | None = None) -> None:
        self._stream.end(error)


@pytest.fixture
async def played() -> Played:
    stream = Played()
    await stream.started()
    return stream


async def test_each_order_gets_the_response_in_its_place(played: Played) -> None:
    """An order, or its refusal."""
    played.answer(0, order=Order(order_id="7"))
    played.answer(1, refusal=status_pb2.Status(code=code_pb2.UNAVAILABLE))
    played.answer(2, refusal=status_pb2.Status(code=code_pb2.FAILED_PRECONDITION, message="too few"))
    assert (await played.placing[0]).order_id == "7"
    with pytest.raises(Refused):
        await played.placing[1]
    with pytest.raises(Failed, match="FAILED_PRECONDITION: too few"):
        await played.placing[2]
    closing = asyncio.ensure_future(played.orders.close())
    await asyncio.sleep(0)
    assert played.line.ended
    played.end()
    await closing
    with pytest.raises(NotSent):
        await played.orders.place(played.order_requests[0])


async def test_a_response_in_a_wrong_place_is_found(played: Played) -> None:
    """By the request_id that it repeats."""
    played.answer(1, order=Order())
    with pytest.raises(Unexpected, match=played.order_requests[1].request_id):
        await played.placing[0]
    played.end(ConnectionError("gone"))
    await asyncio.gather(*played.placing, return_exceptions=True)


async def test_after_a_stream_ends_the_unanswered_orders_are_unknown(played: Played) -> None:
    """Whatever it ended with: the server may have placed more than it answered."""
    played.answer(0, order=Order())
    await played.placing[0]
    played.end(Failed("UNAUTHENTICATED", "revoked"))
    for waiting in played.placing[1:]:
        with pytest.raises(ConnectionError, match="the stream ended: UNAUTHENTICATED: revoked"):
            await waiting
    await played.orders.close()


async def test_a_stream_that_was_refused_before_any_work_says_so(played: Played) -> None:
    """None of its orders was looked at."""
    played.end(Refused("RESOURCE_EXHAUSTED", 1.0))
    for waiting in played.placing:
        with pytest.raises(Refused):
            await waiting


async def test_an_error_that_no_caller_got_is_raised_at_the_close(played: Played) -> None:
    """It would be lost otherwise."""
    for place in range(3):
        played.answer(place, order=Order())
    await asyncio.gather(*played.placing)
    played.end(Failed("INTERNAL", "at the end"))
    with pytest.raises(Failed, match="at the end"):
        await played.orders.close()


async def test_an_abandoned_stream_is_cancelled(played: Played) -> None:
    """Whatever its state."""
    abandoning = asyncio.ensure_future(played.orders.abandon())
    await asyncio.sleep(0)
    assert played.line.cancelled
    played.end(Failed("CANCELLED", "the caller gave up"))
    await abandoning
    for waiting in played.placing:
        with pytest.raises(ConnectionError):
            await waiting

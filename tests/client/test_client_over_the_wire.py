import asyncio
import socket
from collections.abc import AsyncIterator
from uuid import UUID

import grpc
import pytest
from google.rpc import status_pb2

from backroom.commerce.v1.catalog_service_pb2 import ImportProductsRequest
from backroom.commerce.v1.order_service_pb2 import (
    GetOrderRequest,
    GetOrderResponse,
    PlaceOrderRequest,
    PlaceOrdersRequest,
)
from backroom.commerce.v1.products_pb2 import Product
from backroom_client import AsyncBackroom, Backroom, refusal_of
from tests.client.fake_server import FakeServer, fake_server
from tests.client.played import CREDENTIALS_INVALID, KEY, TOKEN_INVALID, refusal

CANCELLED = status_pb2.Status(code=grpc.StatusCode.CANCELLED.value[0])
UNAVAILABLE = refusal(grpc.StatusCode.UNAVAILABLE, "DATABASE_UNAVAILABLE")


@pytest.fixture
async def server() -> AsyncIterator[FakeServer]:
    async with fake_server() as fake:
        yield fake


@pytest.fixture
async def client(server: FakeServer) -> AsyncIterator[AsyncBackroom]:
    async with AsyncBackroom(server.address, KEY) as client:
        yield client


@pytest.mark.parametrize("refusals", [[UNAVAILABLE, UNAVAILABLE], [CANCELLED, CANCELLED]])
async def test_a_retried_call_has_the_same_request_id(
    server: FakeServer, client: AsyncBackroom, refusals: list[status_pb2.Status]
) -> None:
    """The server may have acted before it became unavailable; gRPC's core answers CANCELLED if it has no room."""
    server.refusals = refusals
    request = PlaceOrderRequest(reference="7")
    await client.orders.PlaceOrder(request)
    assert [order.reference for order in server.orders_seen] == ["7"] * 3
    assert len({UUID(order.request_id) for order in server.orders_seen}) == 1
    assert request == PlaceOrderRequest(reference="7")


async def test_a_blocking_call_is_retried_in_the_same_way(server: FakeServer) -> None:
    """Both kinds of client open their channel with the same service config."""
    server.refusals = [UNAVAILABLE]
    with Backroom(server.address, KEY) as blocking:
        await asyncio.to_thread(lambda: blocking.orders.PlaceOrder(PlaceOrderRequest()))
    assert len({UUID(order.request_id) for order in server.orders_seen}) == 1
    assert len(server.orders_seen) == 2


async def test_a_blocking_future_is_returned_before_its_answer_arrives(server: FakeServer) -> None:
    """Checking for a rejected token must not make it block."""
    may_answer = asyncio.Event()

    async def wait() -> None:
        await may_answer.wait()

    server.before_answer = wait
    with Backroom(server.address, KEY) as blocking:
        future = await asyncio.to_thread(lambda: blocking.orders.GetOrder.future(GetOrderRequest()))
        assert not future.done()
        may_answer.set()
        assert await asyncio.to_thread(future.result, 5) == GetOrderResponse()


async def test_a_server_that_stays_unavailable_is_given_up_after_four_attempts(
    server: FakeServer, client: AsyncBackroom
) -> None:
    """Its last status reaches the caller."""
    server.refusals = [UNAVAILABLE] * 9
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await client.orders.PlaceOrder(PlaceOrderRequest())
    refused = refusal_of(raised.value)
    assert refused is not None
    assert refused.reason == "DATABASE_UNAVAILABLE"
    assert len(server.orders_seen) == 4


async def test_a_refused_call_is_not_retried(server: FakeServer, client: AsyncBackroom) -> None:
    """A refusal is an answer."""
    server.refusals = [refusal(grpc.StatusCode.FAILED_PRECONDITION, "OUT_OF_STOCK")]
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await client.orders.PlaceOrder(PlaceOrderRequest())
    refused = refusal_of(raised.value)
    assert refused is not None
    assert (refused.code, refused.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "OUT_OF_STOCK")
    assert len(server.orders_seen) == 1


async def test_concurrent_calls_share_one_token(server: FakeServer, client: AsyncBackroom) -> None:
    """One of them fetches it, and the others wait."""
    await asyncio.gather(*(client.orders.GetOrder(GetOrderRequest()) for _ in range(50)))
    assert server.keys_exchanged == 1
    assert server.tokens_seen == ["Bearer 1"] * 50


async def test_a_rejected_token_is_renewed_once_for_all_calls_with_it(
    server: FakeServer, client: AsyncBackroom
) -> None:
    """Each is repeated once, with the same request_id and the new token."""
    server.refusals = [TOKEN_INVALID] * 5
    await asyncio.gather(*(client.orders.PlaceOrder(PlaceOrderRequest()) for _ in range(5)))
    assert server.keys_exchanged == 2
    assert sorted(server.tokens_seen) == ["Bearer 1"] * 5 + ["Bearer 2"] * 5
    assert len({order.request_id for order in server.orders_seen}) == 5


async def test_another_unauthenticated_answer_reaches_the_caller_at_once(
    server: FakeServer, client: AsyncBackroom
) -> None:
    """A wrong password stays wrong with a new token."""
    server.refusals = [CREDENTIALS_INVALID]
    with pytest.raises(grpc.aio.AioRpcError):
        await client.orders.GetOrder(GetOrderRequest())
    assert server.keys_exchanged == 1


async def test_a_cancelled_call_leaves_the_token_to_the_others(server: FakeServer, client: AsyncBackroom) -> None:
    """The cancelled one may be the one that fetches it."""
    asked, may_answer = asyncio.Event(), asyncio.Event()

    async def wait() -> None:
        asked.set()
        await may_answer.wait()

    server.before_token = wait
    first = client.orders.GetOrder(GetOrderRequest())
    second = client.orders.GetOrder(GetOrderRequest())
    await asyncio.wait_for(asked.wait(), 300)
    first.cancel()
    may_answer.set()
    assert await second == GetOrderResponse()
    with pytest.raises(asyncio.CancelledError):
        await first
    assert server.keys_exchanged == 1


async def test_a_call_that_waits_for_its_answer_can_be_cancelled(server: FakeServer, client: AsyncBackroom) -> None:
    """Checking for a rejected token does not prevent it."""
    asked = asyncio.Event()

    async def wait() -> None:
        asked.set()
        await asyncio.sleep(60)

    server.before_answer = wait
    call = client.orders.GetOrder(GetOrderRequest())
    await asyncio.wait_for(asked.wait(), 300)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call


async def test_a_stream_of_requests_has_the_token_and_one_request_id(server: FakeServer, client: AsyncBackroom) -> None:
    """The messages may come from a plain iterator."""
    response = await client.catalog.ImportProducts(
        iter([ImportProductsRequest(product=Product(sku=sku)) for sku in "abc"])
    )
    assert response.created_count == 3
    assert [bool(request.request_id) for request in server.imports_seen] == [True, False, False]
    assert server.tokens_seen == ["Bearer 1"]


async def test_a_bidirectional_stream_has_the_token_and_a_request_id_per_order(
    server: FakeServer, client: AsyncBackroom
) -> None:
    """The messages may also be written one by one."""
    call = client.orders.PlaceOrders()
    ids = []
    for reference in ("7", "8"):
        await call.write(PlaceOrdersRequest(order=PlaceOrderRequest(reference=reference)))
        response = await call.read()
        assert not isinstance(response, type(grpc.aio.EOF))
        ids.append(response.request_id)  # type: ignore[attr-defined]
    await call.done_writing()
    assert await call.read() == grpc.aio.EOF
    assert [order.request_id for order in server.orders_seen] == ids
    assert len({UUID(each) for each in ids}) == 2
    assert server.tokens_seen == ["Bearer 1"]


async def test_an_order_sent_again_with_its_stream_has_the_same_request_id(
    server: FakeServer, client: AsyncBackroom
) -> None:
    """gRPC itself repeats a stream that was not answered yet."""
    server.refusals = [UNAVAILABLE]
    asks = iter([PlaceOrdersRequest(order=PlaceOrderRequest(reference="7"))])
    answers = [answer.request_id async for answer in client.orders.PlaceOrders(asks)]
    assert answers == [order.request_id for order in server.orders_seen]
    assert server.tokens_seen == ["Bearer 1"] * 2


async def test_a_caller_waits_for_a_server_that_is_still_starting() -> None:
    """Signing in is the first call of any caller."""
    with socket.socket() as held:  # bound, not listening: no other process gets the port
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        held.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{held.getsockname()[1]}"
        async with AsyncBackroom(address, KEY) as client:
            call = client.orders.GetOrder(GetOrderRequest())
            await asyncio.sleep(0.3)
            async with fake_server(address) as server:
                assert await call == GetOrderResponse()
                assert server.keys_exchanged == 1

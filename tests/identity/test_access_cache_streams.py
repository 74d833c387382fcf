"""Streams that outlast their caller's access, over the wire."""

import asyncio
from typing import Any

import grpc
import pytest
from google.type import money_pb2

from backroom.commerce.v1 import catalog_service_pb2, inventory_service_pb2, products_pb2
from backroom.commerce.v1 import order_service_pb2 as pb
from backroom.identity.v1 import access_service_pb2, roles_pb2
from storage.identity.store import IDENTITY
from tests.commerce.goods import ask, placed, stocked
from tests.commerce.watched import begun as begun_watch
from tests.commerce.watched import received
from tests.fixtures.servers import Api, Refused, Running, refused
from tests.identity.people import granting, kept, revoking
from tests.identity.sessions import begun

WITHIN = 10.0
"""In seconds: one for the server, plus the delay of a busy machine."""


@pytest.fixture
async def server(own_server: Running) -> Running:
    """A server for this test alone: the latest changes stay in a server's memory."""
    return own_server


async def end_of(call: Any) -> Refused:
    """How a stream ends that must end soon."""
    try:
        async with asyncio.timeout(WITHIN):
            while True:
                assert await call.read() is not grpc.aio.EOF, "the stream ended well"
    except grpc.aio.AioRpcError as error:
        return refused(error)


def watch_orders(api: Api) -> Any:
    return api.orders.WatchOrders(pb.WatchOrdersRequest())


async def test_a_watch_ends_with_its_session(server: Running, admin: Api) -> None:
    """It ends like a call without a token; other callers' watches continue, and send changes."""
    person = await begun(server.application, server.channel, "staff")
    mine = [watch_orders(person.api), person.api.inventory.WatchStock(inventory_service_pb2.WatchStockRequest())]
    others = watch_orders(admin)
    for call in (*mine, others):
        await begun_watch(call)
    async with server.database.store(IDENTITY).transaction() as tx:
        await tx.sessions.end(person.session.id, person.session.create_time)
        await tx.access_changes.add([person.session.account_id], person.session.create_time)
    for call in mine:
        answer = await end_of(call)
        assert (answer.code, answer.reason) == (grpc.StatusCode.UNAUTHENTICATED, "TOKEN_INVALID")
    await stocked(admin, "A", 1)
    order = await placed(admin, ("A", 1))
    [message] = await received(others, 1)
    assert message.order.order_id == order.order_id


async def test_a_watch_ends_when_its_permission_is_lost(server: Running, admin: Api) -> None:
    """The status names the permission, as for a call; a watch that needs another permission continues."""
    await admin.access.CreateRole(_creating("stock-reader", "inventory.read"))
    user = await server.sign_in("customer", "stock-reader")
    stock = user.inventory.WatchStock(inventory_service_pb2.WatchStockRequest())
    await begun_watch(stock)
    await admin.access.RevokeRole(revoking(user.account_id, "stock-reader"))
    answer = await end_of(stock)
    assert (answer.code, answer.reason) == (grpc.StatusCode.PERMISSION_DENIED, "PERMISSION_MISSING")
    assert answer.metadata == {"permission": "inventory.read"}


def _creating(name: str, *permissions: str) -> access_service_pb2.CreateRoleRequest:
    return access_service_pb2.CreateRoleRequest(role=roles_pb2.Role(name=name, permissions=permissions))


async def test_a_watch_ends_when_its_caller_loses_another_permission(server: Running, admin: Api) -> None:
    """A caller that may no longer read all orders receives none of them on a watch that was opened before."""
    user = await server.sign_in("customer", "staff")
    watch = watch_orders(user)
    await begun_watch(watch)
    await admin.access.RevokeRole(revoking(user.account_id, "staff"))
    answer = await end_of(watch)
    assert (answer.code, answer.reason) == (grpc.StatusCode.UNAVAILABLE, "ACCESS_CHANGED")
    assert answer.retry_after is not None
    again = watch_orders(user)
    await begun_watch(again)
    await stocked(admin, "A", 2)
    await placed(admin, ("A", 1))
    own = await placed(user, ("A", 1))
    [message] = await received(again, 1)
    assert message.order.order_id == own.order_id


async def test_a_watch_continues_when_its_caller_gains_permissions(server: Running, admin: Api) -> None:
    """Nothing that it sent was too much."""
    user = await server.sign_in("customer")
    watch = watch_orders(user)
    await begun_watch(watch)
    await admin.access.GrantRole(granting(user.account_id, "staff"))
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(watch.read(), 0.8)


async def test_a_stream_of_orders_ends_with_its_permission(server: Running, admin: Api) -> None:
    """The orders that were answered remain; no more are accepted."""
    await stocked(admin, "A", 5)
    user = await server.sign_in("customer")
    call = user.orders.PlaceOrders()
    await call.write(pb.PlaceOrdersRequest(order=ask(("A", 1))))
    answer = await call.read()
    assert answer.order.order_id
    await admin.access.RevokeRole(revoking(user.account_id, "customer"))
    end = await end_of(call)
    assert (end.code, end.reason) == (grpc.StatusCode.PERMISSION_DENIED, "PERMISSION_MISSING")
    assert end.metadata == {"permission": "orders.place"}


async def test_a_client_stream_ends_with_its_permission(server: Running, admin: Api) -> None:
    """An import that is still being sent is refused, and nothing of it is stored."""
    user = await server.sign_in("manager")
    call = user.catalog.ImportProducts()
    product = products_pb2.Product(sku="A", name="A", price=money_pb2.Money(currency_code="GBP", units=1))
    await call.write(catalog_service_pb2.ImportProductsRequest(product=product))
    await admin.access.RevokeRole(revoking(user.account_id, "manager"))
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await asyncio.wait_for(call, WITHIN)
    assert refused(raised.value).reason == "PERMISSION_MISSING"
    assert "GBP" not in await kept(server.database, "commerce.products")


async def test_streams_leave_nothing_behind(server: Running, customer: Api) -> None:
    """Neither a task nor a waiter remains of one that its caller has left."""
    watches = [watch_orders(customer) for _ in range(5)]
    for watch in watches:
        await begun_watch(watch)
    for watch in watches:
        watch.cancel()
    await server.idle()
    async with asyncio.timeout(WITHIN):
        while server.application.identity.access_cache._waiting:  # noqa: ASYNC110 - it has no event to wait for
            await asyncio.sleep(0.01)

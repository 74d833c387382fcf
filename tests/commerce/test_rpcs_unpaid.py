"""The limits of what a customer may reserve without paying, over the wire and over all of its orders."""

import grpc

from backroom.commerce.v1 import order_service_pb2 as pb
from storage.database import Database
from tests.commerce.goods import ask, cancelled, placed, stock_of, stocked
from tests.fixtures.servers import Api, Running, refusal, refused, running
from tests.fixtures.trading import eventually
from tests.identity.people import revoking

MONTH = {"seconds": 30 * 86_400}


async def reads(api: Api, order_id: str) -> bool:
    """Whether the caller may see the order."""
    try:
        await api.orders.GetOrder(pb.GetOrderRequest(order_id=order_id))
    except grpc.aio.AioRpcError as error:
        if refused(error).reason == "ORDER_NOT_FOUND":
            return False
        raise
    return True


async def test_a_customer_cannot_reserve_stock_for_a_month(service: Api, customer: Api) -> None:
    """Longer than the server's default needs a permission that staff has."""
    await stocked(service, "TEA", 990)
    found = await refusal(placed(customer, ("TEA", 1), hold_duration=MONTH))
    assert (found.code, found.reason) == (grpc.StatusCode.PERMISSION_DENIED, "HOLD_TOO_LONG")
    assert found.metadata == {"permission": "orders.hold_more", "longest_seconds": "900"}
    assert await stock_of(service, "TEA") == (990, 0, 990)
    assert (await placed(service, ("TEA", 1), hold_duration=MONTH)).order_id


async def test_a_customers_unpaid_orders_are_bounded(database: Database) -> None:
    """One after another and many at once; cancelled orders no longer count, other customers' never do."""
    async with running(database, max_unpaid_orders=3, max_held_pieces=100) as server:
        service, customer, other = [await server.sign_in(role) for role in ("service", "customer", "customer")]
        await stocked(service, "TEA", 1000)
        first = await placed(customer, ("TEA", 40))
        found = await refusal(placed(customer, ("TEA", 61)))
        assert (found.code, found.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "UNPAID_LIMIT_EXCEEDED")
        assert found.metadata == {"orders": "2", "pieces": "101", "most_orders": "3", "most_pieces": "100"}
        asks = (pb.PlaceOrdersRequest(order=ask(("TEA", 1))) for _ in range(5))
        answers = [answer async for answer in customer.orders.PlaceOrders(asks)]
        assert [answer.WhichOneof("outcome") for answer in answers] == ["order"] * 2 + ["refusal"] * 3
        await cancelled(customer, first)
        assert (await placed(customer, ("TEA", 98))).order_id
        assert (await placed(other, ("TEA", 100))).order_id
        for _ in range(5):
            assert (await placed(service, ("TEA", 100))).order_id


async def test_a_customer_cannot_place_and_cancel_without_limit(database: Database) -> None:
    """Orders cancelled or expired within the hour count, so counting the unpaid ones reads few rows."""
    async with running(database, max_unpaid_orders=2) as server:
        service, customer, other = [await server.sign_in(role) for role in ("service", "customer", "customer")]
        await stocked(service, "TEA", 10)
        for _ in range(20):
            await cancelled(customer, await placed(customer, ("TEA", 10)))
        found = await refusal(placed(customer, ("TEA", 1)))
        assert (found.code, found.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "TOO_MANY_ABANDONED_ORDERS")
        assert found.metadata == {"orders": "20", "most_orders": "20"}
        assert (await placed(other, ("TEA", 1))).order_id
        assert (await placed(service, ("TEA", 1), customer_id=str(customer.account_id))).order_id
        assert await stock_of(service, "TEA") == (10, 2, 8)


async def test_an_account_that_lost_the_role_cannot_act_on_orders_it_placed_for_others(
    server: Running, customer: Api
) -> None:
    """To see, cancel or watch it needs the permission now; its own orders stay its own."""
    admin, processor = await server.sign_in("admin"), await server.sign_in("staff", "customer")
    await stocked(admin, "TEA", 10)
    theirs = await placed(processor, ("TEA", 1), customer_id=str(customer.account_id))
    own = await placed(processor, ("TEA", 1))
    assert (await processor.orders.GetOrder(pb.GetOrderRequest(order_id=theirs.order_id))).order == theirs
    await admin.access.RevokeRole(revoking(processor.account_id, "staff"))
    await eventually(lambda: reads(processor, theirs.order_id), lambda read: not read)
    assert (await refusal(cancelled(processor, theirs))).reason == "ORDER_NOT_FOUND"
    assert (await cancelled(processor, own)).order_id == own.order_id
    assert (await cancelled(customer, theirs)).order_id == theirs.order_id

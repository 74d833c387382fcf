"""WatchOrders, over the wire: which changes, to whom, and from where on."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import grpc
import pytest

from backroom.commerce.v1 import inventory_service_pb2, orders_pb2
from backroom.commerce.v1 import order_service_pb2 as pb
from server.commerce.messages import order as as_message
from server.commerce.rules.events import order_event
from server.frame.resuming import TOKEN_LIFE, Position, watch_of
from storage.commerce.records import OrderState
from storage.commerce.store import COMMERCE
from storage.frame.records import Event
from storage.identity.store import IDENTITY
from storage.snapshots import Snapshot
from tests.commerce.goods import cancelled, found, placed, stocked
from tests.commerce.values import kept, order, product
from tests.commerce.watched import begun, received
from tests.fixtures.servers import Api, Running, refusal, running


@pytest.fixture
async def server(own_server: Running) -> Running:
    """A server for this test alone: the latest changes stay in a server's memory."""
    return own_server


def request(token: str = "", customer_id: str = "") -> pb.WatchOrdersRequest:
    return pb.WatchOrdersRequest(resume_token=token, customer_id=customer_id)


def watch(api: Api, token: str = "", customer_id: str = "") -> Any:
    return api.orders.WatchOrders(request(token, customer_id))


def head(order: orders_pb2.Order) -> orders_pb2.Order:
    """The order without its lines."""
    copy = orders_pb2.Order()
    copy.CopyFrom(order)
    copy.ClearField("lines")
    return copy


async def test_each_change_is_sent_with_the_order_as_it_was_after_it(service: Api) -> None:
    """In the order in which they happened; sent again later it is the same, whatever the order's state is now."""
    await stocked(service, "A", 10)
    call = watch(service)
    start = await begun(call)
    first = await placed(service, ("A", 1), ("A", 2), reference="R-1", customer_id="17850")
    second = await placed(service, ("A", 1))
    changes = [head(first), head(second), await head_of_cancelled(service, first, "too late")]
    assert [message.order for message in await received(call, 3)] == changes
    assert [message.order for message in await received(watch(service, start), 3)] == changes


async def head_of_cancelled(api: Api, order: orders_pb2.Order, reason: str) -> orders_pb2.Order:
    answer = await cancelled(api, order, reason=reason)
    assert answer == await found(api, order.order_id)
    return head(answer)


async def test_every_token_resumes_right_after_its_message(service: Api) -> None:
    """For changes that were sent live, and for those that were read afterwards."""
    await stocked(service, "A", 10)
    call = watch(service)
    start = await begun(call)
    for _ in range(3):
        await cancelled(service, await placed(service, ("A", 1)))
    live = await received(call, 6)
    again = await received(watch(service, start), 6)
    for messages in (live, again):
        for place, message in enumerate(messages[:-1]):
            rest = await received(watch(service, message.resume_token), 5 - place)
            assert [each.order for each in rest] == [each.order for each in live[place + 1 :]]


async def test_an_order_is_sent_in_every_state(server: Running, service: Api) -> None:
    """Other events of the log are not sent."""
    goods = product("A")
    kept_order = order((goods, 2))
    await kept(server.database, goods)
    call = watch(service)
    await begun(call)
    later = [replace(kept_order, state=state, update_time=datetime.now(UTC)) for state in OrderState]
    async with server.database.store(COMMERCE).transaction() as tx:
        await tx.orders.add([kept_order])
        for each in later:
            await tx.events.publish([Event("payment.failed", uuid4(), "{}", each.update_time), order_event(each)])
    messages = [message.order for message in await received(call, len(later))]
    assert messages == [head(as_message(each)) for each in later]
    assert [each.update_time.ToDatetime(UTC) for each in messages] == [each.update_time for each in later]


@pytest.mark.parametrize("late", [False, True])
async def test_a_watcher_receives_the_orders_that_it_may_see(server: Running, late: bool) -> None:
    """A customer its own, including those placed for it; with read_all all orders, or one customer's.

    Live, and afterwards at another server.
    """
    seller, one = await server.sign_in("service"), await server.sign_in("customer")
    await stocked(seller, "A", 10)
    mine = str(one.account_id)
    asked = [(one, ""), (one, mine), (seller, ""), (seller, mine), (seller, "17850")]
    calls = [watch(api, customer_id=customer_id) for api, customer_id in asked]
    starts = [await begun(call) for call in calls]
    own = await placed(one, ("A", 1))
    foreign = await placed(seller, ("A", 1), customer_id="17850")
    given = await placed(seller, ("A", 1), customer_id=mine)
    last = await cancelled(one, own)
    his, everybodys = [own, given, last], [own, foreign, given, last]
    async with running(server.database) as another:
        if late:
            apis = [Api(another.channel, api.token) for api, _ in asked]
            calls = [watch(*each) for each in zip(apis, starts, [customer_id for _, customer_id in asked], strict=True)]
        for call, expected in zip(calls, [his, his, everybodys, his, [foreign]], strict=True):
            assert [message.order for message in await received(call, len(expected))] == [
                head(each) for each in expected
            ]


@pytest.mark.parametrize("late", [False, True])
async def test_an_account_that_lost_the_role_receives_only_its_own_orders(server: Running, late: bool) -> None:
    """Not those that it placed for others: what it may see depends on what it may do now."""
    seller, placer = await server.sign_in("service"), await server.sign_in("service")
    await stocked(seller, "A", 10)
    start = await begun(watch(placer))
    orders = [
        await placed(placer, ("A", 1), customer_id="17850"),
        await placed(seller, ("A", 1), customer_id="17850"),
        await placed(placer, ("A", 1)),
    ]
    await lowered(server, placer)
    async with running(server.database) as another:
        call = watch(Api(another.channel, placer.token), start) if late else watch(placer)
        before = [orders[2]] if late else []
        if not late:
            await begun(call)
        changes = [await cancelled(seller, order) for order in orders]
        expected = [*before, changes[2]]
        assert [message.order for message in await received(call, len(expected))] == [head(each) for each in expected]


async def lowered(server: Running, api: Api) -> None:
    """Reduces an account's roles to customer; its token stays the same."""
    assert api.account_id is not None
    now = datetime.now(UTC)
    async with server.database.store(IDENTITY).transaction() as tx:
        await tx.accounts.revoke(api.account_id, "service")
        await tx.accounts.grant(api.account_id, ["customer"], now)
        await tx.access_changes.add([api.account_id], now)
    await server.application.identity.access_cache.poll()


async def test_another_customer_cannot_be_watched(server: Running, customer: Api) -> None:
    """Whether that customer exists or not."""
    other = await server.sign_in("customer")
    for customer_id in (str(other.account_id), "17850"):
        refused = await refusal(watch(customer, customer_id=customer_id).read())
        assert (refused.code, refused.reason) == (grpc.StatusCode.PERMISSION_DENIED, "CUSTOMER_NOT_PERMITTED")


async def test_a_token_of_another_watch_is_refused(service: Api) -> None:
    """Garbage, one with another filter, and one of the stock."""
    start = await begun(watch(service))
    stock = await begun(service.inventory.WatchStock(inventory_service_pb2.WatchStockRequest()))
    tokens: Sequence[tuple[str, str]] = [("canary", ""), ("x" * 4096, ""), (stock, ""), (start, "17850")]
    for token, customer_id in tokens:
        refused = await refusal(watch(service, token, customer_id).read())
        assert (refused.code, refused.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "RESUME_TOKEN_INVALID")


async def test_an_old_token_has_expired(service: Api) -> None:
    """Changes are kept for 30 days, and a token that is nearly that old still works."""
    now = datetime.now(UTC)
    present = watch_of(request(await begun(watch(service))), now).position
    assert present is not None
    tokens = [
        watch_of(request(), now).token(Position(now - TOKEN_LIFE + age, present.timeline, Snapshot(1, 1)))
        for age in (timedelta(minutes=-1), timedelta(minutes=1))
    ]
    refused = await refusal(watch(service, tokens[0]).read())
    assert (refused.code, refused.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "RESUME_TOKEN_EXPIRED")
    await stocked(service, "A", 1)
    order = await placed(service, ("A", 1))
    [message] = await received(watch(service, tokens[1]), 1)
    assert message.order == head(order)

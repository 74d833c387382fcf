"""No caller takes so much that others are refused."""

import asyncio
from contextlib import suppress
from ipaddress import ip_network
from typing import Any

import grpc
import pytest

from backroom.commerce.v1 import inventory_service_pb2, order_service_pb2
from backroom.identity.v1 import identity_service_pb2
from server.frame.addresses import caller_networks
from server.frame.errors import TooManyConcurrentCalls
from server.frame.interceptors import CallLimits, ConcurrencyLimits, Rate
from server.frame.interceptors.shedding import KeyedLimit, NetworkLimit
from storage.database import Database
from tests.attacks.table import LOGIN
from tests.attacks.wire import attacker
from tests.commerce.watched import begun
from tests.contract.probes import checked, watched
from tests.contract.stand_ins import get_me
from tests.faults.load import until
from tests.fixtures.servers import Api, Running, refusal, running

ORDERS = order_service_pb2.WatchOrdersRequest()
STOCK = inventory_service_pb2.WatchStockRequest()
WRONG = identity_service_pb2.LoginRequest(email="nobody@example.com", password="not the password")


async def watching(api: Api, count: int) -> list[Any]:
    """This many watches of its orders, all of them started."""
    watches = [api.orders.WatchOrders(ORDERS, timeout=None) for _ in range(count)]
    for watch in watches:
        await begun(watch)
    return watches


async def test_one_customer_takes_its_share_and_no_more(database: Database) -> None:
    """The next is refused, while another customer's watch starts; a released share can be used again."""
    async with running(database, limits=CallLimits(ConcurrencyLimits(streams=20, per_caller=3))) as opened:
        greedy, other = await opened.sign_in("customer"), await opened.sign_in("customer")
        watches = await watching(greedy, 3)
        found = await refusal(greedy.orders.WatchOrders(ORDERS).read())
        assert (found.code, found.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "TOO_MANY_CONCURRENT_CALLS")
        assert found.retry_after is not None
        watches += await watching(other, 1)
        watches.pop(0).cancel()
        await until(lambda: streams(opened) == 3)
        watches += await watching(greedy, 1)
        for watch in watches:
            watch.cancel()


async def test_customers_together_leave_a_reserve_for_staff_and_services(database: Database) -> None:
    """A fifth of the streams; client streams are counted separately."""
    async with running(database, limits=CallLimits(ConcurrencyLimits(streams=5))) as opened:
        customer, service = await opened.sign_in("customer"), await opened.sign_in("service")
        watches = await watching(customer, 4)
        found = await refusal(customer.orders.WatchOrders(ORDERS).read())
        assert found.reason == "OVERLOADED"
        await begun(taken := service.inventory.WatchStock(STOCK, timeout=None))
        placing = customer.orders.PlaceOrders(iter(()))
        assert [answer async for answer in placing] == []
        for watch in (*watches, taken):
            watch.cancel()


async def test_health_watches_are_bounded_for_each_connection(database: Database) -> None:
    """And for a network; meanwhile Check is answered, on the same connection too."""
    limits = CallLimits(ConcurrencyLimits(probes=3, probes_per_network=5))
    async with running(database, limits=limits) as opened:
        watches = [watched(opened.channel, "") for _ in range(3)]
        assert [await anext(watch) for watch in watches] == ["SERVING"] * 3
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await anext(watched(opened.channel, "liveness"))
        assert raised.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert await checked(opened.channel, "liveness") == "SERVING"
        local = (("grpc.use_local_subchannel_pool", 1),)
        async with grpc.aio.insecure_channel(opened.address, local) as another:
            assert [await anext(watched(another, "")) for _ in range(2)] == ["SERVING"] * 2
            with pytest.raises(grpc.aio.AioRpcError):
                await anext(watched(another, ""))
            assert await checked(another, "liveness") == "SERVING"


async def test_by_default_a_rate_limits_customers_only(database: Database) -> None:
    """And callers without an account; staff and services may call as often as they want."""
    limits = CallLimits(rate=Rate(per_second=0.1, burst=2), rate_exempts_staff=True)
    async with running(database, limits=limits) as opened:
        customer, service = await opened.sign_in("customer"), await opened.sign_in("service")
        await asyncio.gather(get_me(customer), get_me(customer))
        assert (await refusal(get_me(customer))).reason == "RATE_LIMITED"
        for _ in range(5):
            await get_me(service)


def test_shares_are_released_and_forgotten() -> None:
    """A caller without a share takes no memory, and a refusal takes no share."""
    shares = KeyedLimit(2)
    with shares.slot("a"), shares.slot("a"):
        with pytest.raises(TooManyConcurrentCalls), shares.slot("a"):
            pass
        with shares.slot("b"):
            assert len(shares) == 2
    assert len(shares) == 0


def test_an_ipv6_site_does_not_count_as_many_callers() -> None:
    """It has twice the share of one network, and releases all of it; a refused call takes nothing."""
    shares = NetworkLimit(10)
    held = []
    for number in range(100):
        sources = caller_networks(f"2001:db8:1:{number % 50:x}00::1")
        with suppress(TooManyConcurrentCalls):
            shares.enter(sources)
            held.append(sources)
    assert len(held) == 20
    shares.enter(caller_networks("2001:db8:2::1"))
    shares.leave(caller_networks("2001:db8:2::1"))
    for sources in held:
        shares.leave(sources)
    assert len(shares) == 0


async def test_an_ipv6_site_cannot_take_the_share_left_for_strangers(database: Database) -> None:
    """Logins without a body, each from another network of one /48, leave room for callers from another address."""
    limits = CallLimits(ConcurrencyLimits(calls=20, per_caller=4))
    async with running(database, limits=limits, trusted_proxies=[ip_network("127.0.0.1/32")]) as opened:
        with attacker(opened.server.grpc_port, "none") as by:
            for number in range(30):
                by.open(LOGIN, (b"x-forwarded-for", f"2001:db8:1:{number:x}00::1".encode()))
            await until(lambda: _unary(opened) == 8)
            found = await refusal(opened.calling_from("203.0.113.7").identity.Login(WRONG))
            assert found.reason == "CREDENTIALS_INVALID"
            found = await refusal(opened.calling_from("2001:db8:1:ff00::1").identity.Login(WRONG))
            assert found.reason == "TOO_MANY_CONCURRENT_CALLS"


def _unary(opened: Running) -> float:
    return opened.application.registry.get_sample_value("backroom_calls_under_way", {"kind": "unary"}) or 0.0


def streams(opened: Running) -> float | None:
    return opened.application.registry.get_sample_value("backroom_calls_under_way", {"kind": "stream"})

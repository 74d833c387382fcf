"""A token bucket for each caller."""

import asyncio
from dataclasses import dataclass
from itertools import pairwise

import grpc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backroom.commerce.v1 import order_service_pb2
from backroom.identity.v1 import identity_service_pb2
from server.frame.addresses import CallerNetwork, caller_network, caller_networks
from server.frame.interceptors import CallLimits, Rate
from server.frame.interceptors.rate_limit import Buckets
from storage.database import Database
from tests.commerce.goods import ask, found, placed, stocked
from tests.contract.probes import checked
from tests.contract.scrape import scraped
from tests.fixtures.servers import Api, Running, refusal, running
from tests.identity.people import me


@dataclass
class Time:
    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


def limited(per_second: float, burst: int) -> CallLimits:
    return CallLimits(rate=Rate(per_second, burst))


async def test_a_caller_above_its_rate_gets_the_time_to_wait(database: Database) -> None:
    """To the moment; other callers and probes are not slowed down."""
    async with running(database, limits=limited(per_second=1, burst=3)) as opened:
        hasty, other = await opened.sign_in("customer"), await opened.sign_in("customer")
        for _ in range(3):
            await me(hasty)
        found = await refusal(me(hasty))
        assert (found.code, found.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "RATE_LIMITED")
        assert found.retry_after is not None
        assert 0 < found.retry_after <= 1
        await me(other)
        for _ in range(5):
            assert await checked(opened.channel, "liveness") == "SERVING"
        await asyncio.sleep(found.retry_after)
        await me(hasty)
        assert (await scraped(opened)).sum("backroom_calls_rate_limited_total") == 1


async def test_a_public_method_is_counted_by_the_callers_network(database: Database) -> None:
    """Whatever account it names; signed-in callers are not affected."""
    async with running(database, limits=limited(per_second=0.1, burst=2)) as opened:
        api = await opened.sign_in("customer")
        login = identity_service_pb2.LoginRequest(email="nobody@example.com", password="irrelevant-words")
        reasons = [(await refusal(caller.identity.Login(login))).reason for caller in (opened.anonymous, api, api)]
        assert reasons[2] == "RATE_LIMITED" not in reasons[:2]
        await me(api)


async def test_a_stream_is_slowed_down_and_not_refused(database: Database) -> None:
    """Each of its messages takes a token, as a call would."""
    async with running(database) as plenty:
        await stocked(await plenty.sign_in("admin"), "TEA", 100)
    async with running(database, limits=limited(per_second=20, burst=3)) as opened:
        api = await opened.sign_in("service")
        asks = [order_service_pb2.PlaceOrdersRequest(order=ask(("TEA", 1))) for _ in range(12)]
        loop = asyncio.get_running_loop()
        began = loop.time()
        answers = [answer async for answer in api.orders.PlaceOrders(iter(asks))]
        assert [answer.WhichOneof("outcome") for answer in answers] == ["order"] * 12
        assert loop.time() - began >= 0.9 * (1 + 12 - 3) / 20


@given(
    per_second=st.floats(0.1, 1000),
    burst=st.integers(1, 20),
    gaps=st.lists(st.floats(0, 3), min_size=1, max_size=60),
)
def test_no_caller_exceeds_its_rate_or_waits_longer_than_stated(
    per_second: float, burst: int, gaps: list[float]
) -> None:
    """In any period: the burst and what has flowed in since; a caller that waits as stated is accepted."""
    time = Time()
    buckets = Buckets(Rate(per_second, burst), time)
    taken: list[float] = []
    for gap in gaps:
        time.now += gap / per_second
        if wait := buckets.take("a"):
            assert wait <= 1 / per_second + 1e-6
            time.now += wait
            assert buckets.take("a") == 0
        taken.append(time.now)
    for first in range(len(taken)):
        for last in range(first, len(taken)):
            flowed = (taken[last] - taken[first]) * per_second
            assert last - first + 1 <= burst + flowed + 1e-3
    assert all(before <= after for before, after in pairwise(taken))


def test_the_number_of_remembered_callers_is_bounded() -> None:
    """The one that has not called for longest is forgotten, and one that keeps calling is not."""
    buckets = Buckets(Rate(0.001, 1), Time(), most=100)
    for number in range(1000):
        buckets.take("constant")
        buckets.take(f"caller {number}")
    assert len(buckets) == 100
    for _ in range(3):
        assert buckets.take("caller 999") > 0


def test_an_ipv6_site_has_a_bounded_rate() -> None:
    """A caller in each of its networks gets no more than twice one caller's rate, in a /56 one and a half times."""
    buckets, taken = Buckets(Rate(1, 100), Time()), dict.fromkeys(("56", "48"), 0)
    for number in range(512):
        taken["56"] += buckets.take_from_all(caller_networks(f"2001:db8:1:{number % 256:x}::1")) == 0
    assert taken["56"] == 150
    for number in range(0x100, 0x1000):
        taken["48"] += buckets.take_from_all(caller_networks(f"2001:db8:1:{number:x}::1")) == 0
    assert taken["48"] == 200 - 150
    assert buckets.take_from_all(caller_networks("2001:db8:2::1")) == 0


def test_a_refused_call_takes_nothing_from_any_bucket() -> None:
    """A network that is used up costs the wider ones nothing more."""
    buckets = Buckets(Rate(1, 10), Time())
    for _ in range(100):
        buckets.take_from_all(caller_networks("2001:db8:1:1::1"))
    for _ in range(5):
        assert buckets.take_from_all(caller_networks("2001:db8:1:2::1")) == 0


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("10.0.0.7", "10.0.0.8", False),
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff::9", True),
        ("2001:db8:1:2::1", "2001:db8:1:3::1", False),
        ("::ffff:10.0.0.7", "10.0.0.7", True),
        ("", "", True),
    ],
)
def test_a_network_is_an_ipv4_address_or_an_ipv6_64(one: str, other: str, *, same: bool) -> None:
    """A caller with one IPv6 address has all of its /64."""
    assert (caller_network(one) == caller_network(other)) is same


async def test_without_a_setting_nobody_is_limited(server: Running) -> None:
    """The interceptor is not even in the chain."""
    assert "RateLimit" not in [type(each).__name__ for each in server.application.chain.interceptors]


async def test_a_large_call_takes_more_of_the_rate_than_a_small_one(database: Database) -> None:
    """By the bytes sent and received: ten calls of 2,000 lines cost more than a hundred small ones."""
    async with running(database) as plenty:
        await stocked(await plenty.sign_in("admin"), "T" * 60, 1)
    async with running(database, limits=limited(per_second=0.01, burst=30)) as opened:
        heavy, light = await opened.sign_in("customer"), await opened.sign_in("customer")
        request = ask(*[("T" * 60, 1)] * 2000)
        assert (await refusal(heavy.orders.PlaceOrder(request))).reason == "OUT_OF_STOCK"
        assert request.ByteSize() // 4096 >= 30
        assert (await refusal(me(heavy))).reason == "RATE_LIMITED"
        for _ in range(30):
            await me(light)


async def test_a_large_response_takes_more_of_the_rate_than_a_small_one(database: Database) -> None:
    """An order of 1,000 lines can be read as often as its bytes allow."""
    async with running(database) as plenty:
        seller = await plenty.sign_in("admin")
        await stocked(seller, "T" * 60, 1000)
        reader = await plenty.sign_in("customer")
        order = await placed(seller, *[("T" * 60, 1)] * 1000, customer_id=str(reader.account_id))
    async with running(database, limits=limited(per_second=0.01, burst=30)) as opened:
        again = Api(opened.channel, reader.token)
        tokens = 1 + (await found(again, order.order_id)).ByteSize() // (16 * 1024)
        assert tokens > 5
        for _ in range(30 // tokens - 1):
            await found(again, order.order_id)
        assert (await refusal(found(again, order.order_id))).reason == "RATE_LIMITED"


async def test_a_stream_of_large_orders_is_slowed_down_by_their_size(database: Database) -> None:
    """512 lines take as much CPU as eight calls."""
    async with running(database) as plenty:
        await stocked(await plenty.sign_in("admin"), "T" * 60, 10**6)
    async with running(database, limits=limited(per_second=20, burst=5)) as opened:
        api = await opened.sign_in("service")
        asks = [order_service_pb2.PlaceOrdersRequest(order=ask(*[("T" * 60, 1)] * 512)) for _ in range(4)]
        loop = asyncio.get_running_loop()
        began = loop.time()
        answers = [answer async for answer in api.orders.PlaceOrders(iter(asks))]
        assert [answer.WhichOneof("outcome") for answer in answers] == ["order"] * 4
        assert loop.time() - began >= 0.9 * (1 + 3 * (1 + asks[0].ByteSize() // 4096) - 5) / 20


def test_a_debt_to_the_bucket_is_waited_for() -> None:
    """A caller that owes more than its burst gets the time until it is paid back."""
    time = Time()
    buckets = Buckets(Rate(10, 5), time)
    buckets.charge((CallerNetwork("a"),), 100)
    assert buckets.take("a") == pytest.approx((100 + 1 - 5) / 10)
    assert buckets.take("b") == 0
    time.now += (100 + 1 - 5) / 10
    assert buckets.take("a") == 0

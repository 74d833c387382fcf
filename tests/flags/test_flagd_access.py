"""Who may evaluate and sync: callers with a token, and by setting all callers of some networks."""

from ipaddress import ip_network
from typing import Any

import grpc
import pytest

from backroom.identity.v1 import identity_service_pb2
from flagd.sync.v1 import sync_service_pb2 as sync
from storage.database import Database
from tests.fixtures.servers import Running, refusal
from tests.flags.keeping import add
from tests.flags.values import flag
from tests.flags.wire import Flagd, serving_flags

ELSEWHERE = (ip_network("198.51.100.0/24"), ip_network("2001:db8::/32"))
PROXIES = (ip_network("127.0.0.0/8"),)


async def outcome(call: Any) -> str:
    """OK, or why not."""
    try:
        await call
    except grpc.aio.AioRpcError as error:
        return str(error.code().name)
    return "OK"


async def outcomes(flagd: Flagd) -> set[str]:
    """Of evaluating, of syncing, and of listening."""
    stream, events = flagd.sync.SyncFlags(sync.SyncFlagsRequest()), flagd.events()
    found = {await outcome(flagd.boolean("a")), await outcome(flagd.fetch())}
    for each in (stream, events):
        found.add(await outcome(each.read()))
        each.cancel()
    return found


async def test_every_caller_needs_a_token_where_nothing_is_set(database: Database) -> None:
    """And the permission: a customer's will not do, and a service's will."""
    await add(database, flag("a"))
    async with serving_flags(database, flags_open_to=()) as server:
        customer, service = await server.sign_in("customer"), await server.sign_in("service")
        assert await outcomes(Flagd(server.channel)) == {"UNAUTHENTICATED"}
        assert await outcomes(Flagd(server.channel, token="none")) == {"UNAUTHENTICATED"}
        assert await outcomes(Flagd(server.channel, token=customer.token)) == {"PERMISSION_DENIED"}
        assert await outcomes(Flagd(server.channel, token=service.token)) == {"OK"}


async def test_an_open_network_needs_no_token_and_ignores_one(database: Database) -> None:
    """An expired token does not prevent evaluation; all other services still need a valid one."""
    await add(database, flag("a"))
    async with serving_flags(database) as server:
        assert await outcomes(Flagd(server.channel)) == {"OK"}
        assert await outcomes(Flagd(server.channel, token="none")) == {"OK"}
        found = await refusal(server.anonymous.identity.GetMe(identity_service_pb2.GetMeRequest()))
        assert found.reason == "TOKEN_INVALID"


async def test_only_the_networks_that_are_named_are_open(database: Database) -> None:
    """Each call goes by the address that it comes from, which a trusted proxy passes on; all others need a token."""
    await add(database, flag("a"))
    async with serving_flags(database, flags_open_to=ELSEWHERE, trusted_proxies=PROXIES) as server:
        service = await server.sign_in("service")
        assert await outcomes(Flagd(server.channel)) == {"UNAUTHENTICATED"}
        assert await outcomes(Flagd(server.channel, token=service.token)) == {"OK"}
        for address, expected in (("198.51.100.7", "OK"), ("2001:db8::1", "OK"), ("203.0.113.1", "UNAUTHENTICATED")):
            assert await outcomes(Flagd(server.channel, address=address)) == {expected}, address


async def test_a_caller_of_an_open_network_is_not_held_to_a_customers_rate(database: Database) -> None:
    """A server that evaluates for its users asks more often than any of them; the whole is bounded as ever."""
    await add(database, flag("a"))
    async with limited(database) as server:
        found = {await outcome(Flagd(server.channel).boolean("a")) for _ in range(30)}
        assert found == {"OK"}


def limited(database: Database) -> Any:
    from server.frame.interceptors import CallLimits, ConcurrencyLimits, Rate

    limits = CallLimits(ConcurrencyLimits(), Rate(per_second=0.1, burst=5), rate_exempts_staff=True)
    return serving_flags(database, limits=limits)


@pytest.mark.parametrize("text", ["10.0.0.0/8,fd00::/8", "0.0.0.0/0,::/0"])
def test_the_networks_are_read_from_the_setting(text: str) -> None:
    """As other lists of networks are."""
    from server.settings import settings_of

    found: Any = settings_of({"BACKROOM_FLAGS_OPEN_TO": text}).of_modules["flags"]
    assert ",".join(map(str, found.flags_open_to)) == text


async def test_evaluation_is_never_a_change(own_server: Running) -> None:
    """All of it is repeatable, as the contract says, so that clients may try again."""
    services = [each for each in own_server.application.services if each.name.startswith("flagd.")]
    methods = [method for each in services for method in each.descriptor.methods]
    assert len(methods) == 16
    assert {method.GetOptions().idempotency_level for method in methods} == {1}

"""A revocation takes effect on every server within a second."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import grpc
import pytest

from backroom.commerce.v1 import order_service_pb2
from backroom.identity.v1 import access_service_pb2 as pb
from backroom.identity.v1 import identity_service_pb2, roles_pb2
from storage.identity.records import ApiKey
from storage.identity.store import IDENTITY
from tests.commerce.watched import begun as begun_watch
from tests.fixtures.processes import Pair
from tests.fixtures.servers import Api, Running, refused
from tests.identity.people import granting, me, outcome, refreshed, revoking, robot
from tests.identity.sessions import Begun, begun, next_token

WITHIN = 1.0
"""In seconds, from the answer of the change on."""
WATCH_ENDS_WITHIN = 10.0
"""In seconds: ten times what it takes a server, which a busy machine may take to tell it."""


async def calling(api: Api, until: str, stop: asyncio.Event) -> float:
    """Calls without a pause, and returns when the last call began that was taken: then the answer is this, and stays.

    A busy machine moves the calls apart, and none of them behind what the promise allows.
    """
    taken, found = 0.0, False
    while not (stop.is_set() and found):
        began = time.monotonic()
        answer = await outcome(api.orders.ListOrders(order_service_pb2.ListOrdersRequest()))
        found = found or answer == until
        assert answer == (until if found else "done"), (answer, until)
        taken = taken if found else began
        await asyncio.sleep(0.01)
    return taken


async def gone(apis: list[Api], until: str, change: Callable[[], Awaitable[Any]]) -> float:
    """Until when, after a change's answer, any server still accepted a call, while both are called continuously."""
    stop = asyncio.Event()
    loops = [asyncio.create_task(calling(api, until, stop)) for api in apis]
    await asyncio.sleep(0.2)
    await change()
    answered = time.monotonic()
    await asyncio.sleep(WITHIN + 0.3)
    stop.set()
    async with asyncio.timeout(60):
        return max(await asyncio.gather(*loops)) - answered


def on_both(pair: Pair, person: Begun) -> list[Api]:
    return [Api(channel, person.api.token, person.api.account_id) for channel in pair.channels]


async def started(pair: Pair, *roles: str) -> Begun:
    return await begun(pair.application, pair.channels[0], *roles)


async def test_every_revocation_takes_effect_on_both_servers_within_a_second(pair: Pair) -> None:
    """A session by each of the ways it ends, a role's grant, its permissions, the role, an account, and a key."""
    admin = (await pair.sign_in("admin"))[0]
    for name in ("buyer", "seller"):
        role = roles_pb2.Role(name=name, permissions=["orders.read"])
        await admin.access.CreateRole(pb.CreateRoleRequest(role=role))
    people = [await started(pair, "customer") for _ in range(6)]
    buyers = [await started(pair, "buyer"), await started(pair, "seller")]
    key, keyed = await with_key(pair)
    own = [on_both(pair, person)[1] for person in people]
    renewed = await refreshed(own[4], people[4].refresh_token)
    await refreshed(own[4], renewed.refresh_token)
    edit = pb.UpdateRoleRequest(role=roles_pb2.Role(name="buyer", permissions=["catalog.read"]))
    edit.update_mask.paths.append("permissions")
    disable = pb.DisableAccountRequest(account_id=str(people[5].api.account_id))
    revoke = identity_service_pb2.RevokeSessionRequest(session_id=str(people[0].session.id))
    logout = identity_service_pb2.LogoutRequest(refresh_token=people[2].refresh_token)

    async def end_key() -> None:
        async with pair.database.store(IDENTITY).transaction() as tx:
            await tx._connection.exec_driver_sql(
                "UPDATE identity.api_keys SET end_time = now() WHERE id = %s", (key.id,)
            )
            await tx.access_changes.add([key.account_id], datetime.now(UTC))

    lost: list[tuple[list[Api], str, Callable[[], Awaitable[Any]]]] = [
        (on_both(pair, people[0]), "TOKEN_INVALID", lambda: own[0].identity.RevokeSession(revoke)),
        (
            on_both(pair, people[1]),
            "TOKEN_INVALID",
            lambda: own[1].identity.RevokeAllSessions(identity_service_pb2.RevokeAllSessionsRequest()),
        ),
        (on_both(pair, people[2]), "TOKEN_INVALID", lambda: own[2].identity.Logout(logout)),
        (
            on_both(pair, people[3]),
            "PERMISSION_MISSING",
            lambda: admin.access.RevokeRole(revoking(people[3].api.account_id, "customer")),
        ),
        (on_both(pair, people[4]), "TOKEN_INVALID", lambda: next_token(own[4], people[4].refresh_token)),
        (on_both(pair, people[5]), "TOKEN_INVALID", lambda: admin.access.DisableAccount(disable)),
        (on_both(pair, buyers[0]), "PERMISSION_MISSING", lambda: admin.access.UpdateRole(edit)),
        (
            on_both(pair, buyers[1]),
            "PERMISSION_MISSING",
            lambda: admin.access.DeleteRole(pb.DeleteRoleRequest(name="seller", force=True)),
        ),
        (keyed, "TOKEN_INVALID", end_key),
    ]
    took = [await gone(*each) for each in lost[:1]] + await asyncio.gather(*(gone(*each) for each in lost[1:]))
    assert max(took) < WITHIN, took


async def with_key(pair: Pair) -> tuple[ApiKey, list[Api]]:
    till = robot("till", "service")
    key = ApiKey(uuid4(), till.id, "brk_test", datetime.now(UTC), None, None, None)
    async with pair.database.store(IDENTITY).transaction() as tx:
        assert await tx.accounts.add(till)
        await tx.api_keys.add(key, uuid4().bytes)
    token, _ = await pair.application.identity.tokens.issue(till, key.id)
    return key, [Api(channel, token, till.id) for channel in pair.channels]


async def test_watches_on_both_servers_end_within_a_second(pair: Pair) -> None:
    """Those of the caller whose session ended, and no others."""
    person, other = await started(pair, "customer"), await started(pair, "customer")
    watches = [
        api.orders.WatchOrders(order_service_pb2.WatchOrdersRequest())
        for each in (person, other)
        for api in on_both(pair, each)
    ]
    for watch in watches:
        await begun_watch(watch)
    await person.api.identity.RevokeAllSessions(identity_service_pb2.RevokeAllSessionsRequest())
    for watch in watches[:2]:
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await asyncio.wait_for(watch.read(), WATCH_ENDS_WITHIN)
        assert refused(raised.value).reason == "TOKEN_INVALID"
    assert not any(watch.done() for watch in watches[2:])


async def test_alternating_grants_and_revocations_leave_every_server_with_the_last_state(pair: Pair) -> None:
    """As fast as possible, while both are called: a second later both have the final state."""
    admin = (await pair.sign_in("admin"))[0]
    user = await pair.sign_in()
    stop = asyncio.Event()

    async def asking(api: Api) -> None:
        while not stop.is_set():
            await outcome(api.orders.ListOrders(order_service_pb2.ListOrdersRequest()))

    loops = [asyncio.create_task(asking(api)) for api in user for _ in range(2)]
    for _ in range(15):
        await admin.access.GrantRole(granting(user[0].account_id, "customer"))
        await admin.access.RevokeRole(revoking(user[0].account_id, "customer"))
    await asyncio.sleep(WITHIN)
    stop.set()
    await asyncio.gather(*loops)
    for api in user:
        answer = await outcome(api.orders.ListOrders(order_service_pb2.ListOrdersRequest()))
        assert answer == "PERMISSION_MISSING"
        assert not (await me(api)).permissions


async def test_a_role_is_never_granted_while_it_is_deleted(server: Running, admin: Api) -> None:
    """Either the grant comes first, and the role has a holder, or the role is gone first and cannot be granted."""
    for _ in range(8):
        role = roles_pb2.Role(name="seller", permissions=["orders.read"])
        await admin.access.CreateRole(pb.CreateRoleRequest(role=role))
        user = await server.sign_in()
        granted, deleted = await asyncio.gather(
            outcome(admin.access.GrantRole(granting(user.account_id, "seller"))),
            outcome(admin.access.DeleteRole(pb.DeleteRoleRequest(name="seller"))),
        )
        assert (granted, deleted) in {("done", "ROLE_IN_USE"), ("ROLE_NOT_FOUND", "done")}
        if deleted != "done":
            await admin.access.DeleteRole(pb.DeleteRoleRequest(name="seller", force=True))


async def test_admins_that_disable_one_another_at_once_leave_one(server: Running) -> None:
    """In every way: by being disabled or by losing the role."""
    for _ in range(4):
        one, two = await server.sign_in("admin"), await server.sign_in("admin")
        outcomes = await asyncio.gather(
            outcome(one.access.DisableAccount(pb.DisableAccountRequest(account_id=str(two.account_id)))),
            outcome(two.access.RevokeRole(revoking(one.account_id, "admin"))),
            outcome(one.access.DisableAccount(pb.DisableAccountRequest(account_id=str(one.account_id)))),
        )
        # The last of them may affect, or come from, an account that is no longer an admin by then.
        assert "done" in outcomes
        assert set(outcomes) <= {"done", "LAST_ADMIN", "TOKEN_INVALID", "PERMISSION_MISSING"}
        async with server.database.store(IDENTITY).transaction() as tx:
            (left,) = await tx.accounts.lock_holders("admin")
            await tx.accounts.revoke(left, "admin")

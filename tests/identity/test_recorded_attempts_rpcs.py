"""Attempts are recorded, whatever their outcome and whatever their caller does."""

import asyncio
from collections import Counter
from typing import Any
from uuid import uuid4

from backroom.identity.v1 import access_service_pb2 as pb
from backroom.identity.v1 import accounts_pb2, roles_pb2
from backroom.identity.v1.identity_service_pb2_grpc import IdentityServiceStub
from server.frame.shielding import ShieldedTasks
from storage.frame.records import AuditEvent
from tests.fixtures.servers import Api, Running
from tests.identity.people import (
    Clock,
    changing,
    granting,
    kept,
    logged_in,
    logging_in,
    outcome,
    refreshing,
    registered,
    revoking,
)
from tests.identity.records import events

ADA = "ada@example.com"


async def entries(server: Running, method: str, result: str, at_least: int = 0) -> list[AuditEvent]:
    """The entries of a method with a result; waits until there are this many, since their callers may have gone."""
    for _ in range(300):
        found = [each for each in await events(server.database, result=result) if each.entry.action.endswith(method)]
        if len(found) >= at_least:
            return found
        await asyncio.sleep(0.1)
    raise AssertionError(f"{len(found)} of {at_least} entries")


async def test_sign_ins_whose_caller_disconnects_are_recorded(proxied: Running) -> None:
    """As many entries as passwords were checked, although no caller waited for the answers."""
    await registered(proxied.anonymous)
    stub: Any = IdentityServiceStub(proxied.channel)
    for place in range(6):
        calls = [
            stub.Login(
                logging_in(f"{place}-{number}@example.com", "not the password"),
                timeout=0.025 * 2**place,  # on a busy machine nothing is begun in the first of them
                metadata=(("x-forwarded-for", f"10.1.{place}.{number}"),),
            )
            for number in range(5)
        ]
        await asyncio.gather(*calls, return_exceptions=True)
    await proxied.application.identity.shielded.close()
    counted = (await kept(proxied.database, "identity.attempts")).count('"key"')
    # Each has a counter for its account, for its address and for both; a registration has two.
    begun = (counted - 2) // 3
    assert begun > 0
    assert len(await entries(proxied, "IdentityService/Login", "CREDENTIALS_INVALID", begun)) >= begun


async def test_a_guessed_password_whose_caller_disconnects_is_recorded(server: Running) -> None:
    """By ChangePassword, too."""
    await registered(server.anonymous)
    token = (await logged_in(server.anonymous)).access_token
    stub: Any = IdentityServiceStub(server.channel)
    call = stub.ChangePassword(
        changing("not the password"), timeout=5, metadata=(("authorization", f"Bearer {token}"),)
    )
    for _ in range(500):
        if server.application.identity.passwords._taken:
            break
        await asyncio.sleep(0.002)
    call.cancel()
    assert len(await entries(server, "IdentityService/ChangePassword", "CREDENTIALS_INVALID", 1)) == 1


async def test_refused_keys_are_recorded_and_do_not_flood_the_record(proxied: Running) -> None:
    """With the key if it exists; of many from one address, about as many as the sign-in limit lets through."""
    admin = await proxied.sign_in("admin")
    created = await admin.access.CreateServiceAccount(
        pb.CreateServiceAccountRequest(service_account=accounts_pb2.ServiceAccount(name="till", roles=["service"]))
    )
    account_id = created.service_account.service_account_id
    await admin.access.DisableAccount(pb.DisableAccountRequest(account_id=account_id))
    caller = proxied.calling_from("10.1.1.1")
    sent = [created.secret, *(f"brk_{place:0>33}" for place in range(30)), "nonsense"]
    told = [await outcome(caller.access.ExchangeKey(pb.ExchangeKeyRequest(key=key))) for key in sent]
    assert Counter(told) == {"CREDENTIALS_INVALID": 32}
    found = await entries(proxied, "AccessService/ExchangeKey", "CREDENTIALS_INVALID")
    assert 20 <= len(found) <= 26
    assert [each.entry.resource for each in found[:2]] == [f"key/{account_id}", "key/"]
    assert {each.entry.address for each in found} == {"10.1.1.1"}
    assert not any(key in str(found) for key in sent)


async def test_refused_changes_of_access_are_recorded(server: Running, admin: Api) -> None:
    """With caller, requested change and reason; the change itself left nothing."""
    nobody = uuid4()
    role = roles_pb2.Role(name="buyer", permissions=["orders.place"])
    await admin.access.CreateRole(pb.CreateRoleRequest(role=role))
    created = await admin.access.CreateServiceAccount(
        pb.CreateServiceAccountRequest(service_account=accounts_pb2.ServiceAccount(name="till", roles=["service"]))
    )
    service_id = created.service_account.service_account_id
    await admin.access.CreateKey(pb.CreateKeyRequest(key=accounts_pb2.Key(service_account_id=service_id)))
    access, me = admin.access, admin.account_id
    refused = {
        "GrantRole": (access.GrantRole(granting(nobody, "staff")), f"account/{nobody}", "ACCOUNT_NOT_FOUND"),
        "RevokeRole": (access.RevokeRole(revoking(me, "admin")), f"account/{me}", "LAST_ADMIN"),
        "DisableAccount": (
            access.DisableAccount(pb.DisableAccountRequest(account_id=str(me))),
            f"account/{me}",
            "LAST_ADMIN",
        ),
        "CreateServiceAccount": (
            access.CreateServiceAccount(
                pb.CreateServiceAccountRequest(
                    service_account=accounts_pb2.ServiceAccount(name="till", roles=["service"])
                )
            ),
            "account/",
            "NAME_TAKEN",
        ),
        "CreateKey": (
            access.CreateKey(pb.CreateKeyRequest(key=accounts_pb2.Key(service_account_id=service_id))),
            f"account/{service_id}",
            "TOO_MANY_KEYS",
        ),
        "DeleteKey": (access.DeleteKey(pb.DeleteKeyRequest(key_id=str(nobody))), f"key/{nobody}", "KEY_NOT_FOUND"),
        "CreateRole": (access.CreateRole(pb.CreateRoleRequest(role=role)), "role/buyer", "ROLE_EXISTS"),
        "DeleteRole": (access.DeleteRole(pb.DeleteRoleRequest(name="nobodys")), "role/nobodys", "ROLE_NOT_FOUND"),
    }
    for method, (call, resource, reason) in refused.items():
        assert await outcome(call) == reason
        [entry] = [each.entry for each in await entries(server, f"AccessService/{method}", reason)]
        assert (entry.caller_id, entry.resource) == (me, resource)


async def test_a_refused_grant_beyond_ones_own_permissions_is_recorded(server: Running, admin: Api) -> None:
    """With the caller who tried."""
    role = roles_pb2.Role(name="granter", permissions=["access.manage"])
    await admin.access.CreateRole(pb.CreateRoleRequest(role=role))
    granter = await server.sign_in("granter")
    assert await outcome(granter.access.GrantRole(granting(granter.account_id, "admin"))) == "PERMISSION_NOT_HELD"
    [entry] = [each.entry for each in await entries(server, "AccessService/GrantRole", "PERMISSION_NOT_HELD")]
    assert (entry.caller_id, entry.resource) == (granter.account_id, f"account/{granter.account_id}")


async def test_a_refresh_token_has_one_encoding(server: Running) -> None:
    """Padded, or with other values in unused bits, it is invalid."""
    await registered(server.anonymous)
    token = (await logged_in(server.anonymous)).refresh_token
    last = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    others = [token[:-1] + each for each in last if each != token[-1]]
    for other in (token + "=", token + "==", *others):
        assert await outcome(server.anonymous.identity.Refresh(refreshing(other))) == "CREDENTIALS_INVALID"
    assert await outcome(server.anonymous.identity.Refresh(refreshing(token))) == "done"


async def test_expired_sessions_are_purged(timed: Running, clock: Clock) -> None:
    """With the addresses that they were opened from; one that can still be refreshed remains."""
    await registered(timed.anonymous)
    await logged_in(timed.anonymous)
    clock.advance(days=2)
    tokens = await logged_in(timed.anonymous)
    clock.advance(days=29, minutes=1)
    sessions = timed.application.identity.sessions
    await sessions.purge()
    assert (await kept(timed.database, "identity.sessions")).count('"address"') == 1
    assert await outcome(timed.anonymous.identity.Refresh(refreshing(tokens.refresh_token))) == "done"
    clock.advance(days=2)
    await sessions.purge()
    assert await kept(timed.database, "identity.sessions") == ""


async def test_work_that_continues_without_its_caller_is_bounded() -> None:
    """A fixed number at once; one more ends with its caller."""
    shielded, done = ShieldedTasks(most=2), []

    async def work(number: int) -> None:
        await asyncio.sleep(0.05)
        done.append(number)

    callers = [asyncio.create_task(shielded.run(work(number))) for number in range(3)]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    for caller in callers:
        caller.cancel()
    assert all(
        isinstance(each, asyncio.CancelledError) for each in await asyncio.gather(*callers, return_exceptions=True)
    )
    await shielded.close()
    assert done == [0, 1]

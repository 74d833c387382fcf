"""Concurrent changes of who may do what."""

import asyncio
from collections import Counter
from uuid import uuid4

from backroom.identity.v1 import access_service_pb2, accounts_pb2
from storage.database import Database
from storage.identity.store import IDENTITY
from tests.fixtures.servers import Api, Running
from tests.identity.people import granting, kept, outcome, revoking


async def admins(database: Database) -> int:
    async with database.store(IDENTITY).transaction() as tx:
        return len(await tx.accounts.lock_holders("admin"))


async def test_two_admins_that_revoke_each_other_leave_one(server: Running) -> None:
    """The second would leave no admin, or is no longer an admin itself."""
    for _ in range(5):
        one, two = await server.sign_in("admin"), await server.sign_in("admin")
        outcomes = await asyncio.gather(
            outcome(one.access.RevokeRole(revoking(two.account_id, "admin"))),
            outcome(two.access.RevokeRole(revoking(one.account_id, "admin"))),
        )
        assert Counter(outcomes) in ({"done": 1, "LAST_ADMIN": 1}, {"done": 1, "PERMISSION_MISSING": 1})
        assert await admins(server.database) == 1
        async with server.database.store(IDENTITY).transaction() as tx:
            (left,) = await tx.accounts.lock_holders("admin")
            await tx.accounts.revoke(left, "admin")


async def test_of_many_admins_that_all_leave_at_once_one_stays(server: Running) -> None:
    """The last one is refused."""
    leaving = [await server.sign_in("admin") for _ in range(8)]
    calls = (outcome(api.access.RevokeRole(revoking(api.account_id, "admin"))) for api in leaving)
    assert Counter(await asyncio.gather(*calls)) == {"done": 7, "LAST_ADMIN": 1}
    assert await admins(server.database) == 1


async def test_concurrent_grants_and_revocations_always_leave_an_admin(server: Running, admin: Api) -> None:
    """In any order, including those of the granting admin."""
    others = [await server.sign_in("admin") for _ in range(4)]
    calls = [outcome(admin.access.GrantRole(granting(api.account_id, "admin"))) for api in others]
    calls += [outcome(admin.access.RevokeRole(revoking(api.account_id, "admin"))) for api in (*others, admin)]
    outcomes = Counter(await asyncio.gather(*calls))
    assert set(outcomes) <= {"done", "LAST_ADMIN", "PERMISSION_MISSING"}
    assert await admins(server.database) >= 1


async def test_one_role_granted_concurrently_is_granted_once(admin: Api, customer: Api, server: Running) -> None:
    """All get the same answer, and one grant is stored."""
    calls = (admin.access.GrantRole(granting(customer.account_id, "staff")) for _ in range(8))
    answers = await asyncio.gather(*calls)
    assert {tuple(answer.roles) for answer in answers} == {("customer", "staff")}
    assert (await kept(server.database, "identity.role_grants")).count('"staff"') == 1


async def test_concurrent_copies_of_a_grant_get_the_same_answer(admin: Api, customer: Api) -> None:
    """With a revocation between them: each copy has the first answer."""
    request = granting(customer.account_id, "staff", request_id=str(uuid4()))
    revocation = revoking(customer.account_id, "staff")
    answers = await asyncio.gather(
        *(admin.access.GrantRole(request) for _ in range(4)),
        admin.access.RevokeRole(revocation),
        *(admin.access.GrantRole(request) for _ in range(4)),
    )
    copies = [tuple(answer.roles) for place, answer in enumerate(answers) if place != 4]
    assert set(copies) == {("customer", "staff")}


async def test_of_concurrent_creations_of_one_service_one_succeeds(server: Running, admin: Api) -> None:
    """The name is then taken, and the one key works."""
    requests = [
        access_service_pb2.CreateServiceAccountRequest(service_account=accounts_pb2.ServiceAccount(name="till"))
        for _ in range(6)
    ]
    outcomes = await asyncio.gather(*(outcome(admin.access.CreateServiceAccount(each)) for each in requests))
    assert Counter(outcomes) == {"done": 1, "NAME_TAKEN": 5}
    assert (await kept(server.database, "identity.accounts")).count('"till"') == 1


async def test_concurrent_copies_of_a_service_account_request_return_one_key(admin: Api) -> None:
    """Every copy of the request is answered with the same account and the same key."""
    request = access_service_pb2.CreateServiceAccountRequest(
        request_id=str(uuid4()), service_account=accounts_pb2.ServiceAccount(name="till")
    )
    answers = await asyncio.gather(*(admin.access.CreateServiceAccount(request) for _ in range(8)))
    assert len({(answer.secret, answer.service_account.service_account_id) for answer in answers}) == 1
    exchanged = await admin.access.ExchangeKey(access_service_pb2.ExchangeKeyRequest(key=answers[0].secret))
    assert exchanged.access_token

"""Many decide at once who may do what."""

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


async def test_two_admins_that_revoke_one_another_at_once_leave_one(server: Running) -> None:
    """One of them comes second, and would have left nobody to grant roles; or so late that it is no admin any more."""
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
    """Whoever is last is refused."""
    leaving = [await server.sign_in("admin") for _ in range(8)]
    calls = (outcome(api.access.RevokeRole(revoking(api.account_id, "admin"))) for api in leaving)
    assert Counter(await asyncio.gather(*calls)) == {"done": 7, "LAST_ADMIN": 1}
    assert await admins(server.database) == 1


async def test_admins_that_come_and_go_at_once_never_leave_nobody(server: Running, admin: Api) -> None:
    """Grants and revocations of the role in any order, also of the one who grants: at the end somebody holds it."""
    others = [await server.sign_in("admin") for _ in range(4)]
    calls = [outcome(admin.access.GrantRole(granting(api.account_id, "admin"))) for api in others]
    calls += [outcome(admin.access.RevokeRole(revoking(api.account_id, "admin"))) for api in (*others, admin)]
    outcomes = Counter(await asyncio.gather(*calls))
    assert set(outcomes) <= {"done", "LAST_ADMIN", "PERMISSION_MISSING"}
    assert await admins(server.database) >= 1


async def test_one_role_granted_by_many_at_once_is_granted_once(admin: Api, customer: Api, server: Running) -> None:
    """Everyone is told the same, and one grant is kept."""
    calls = (admin.access.GrantRole(granting(customer.account_id, "staff")) for _ in range(8))
    answers = await asyncio.gather(*calls)
    assert {tuple(answer.roles) for answer in answers} == {("customer", "staff")}
    assert (await kept(server.database, "identity.role_grants")).count('"staff"') == 1


async def test_a_grant_sent_many_times_at_once_is_answered_alike(admin: Api, customer: Api) -> None:
    """Copies of one request and a revocation between them: each copy has the first answer."""
    request = granting(customer.account_id, "staff", request_id=str(uuid4()))
    revocation = revoking(customer.account_id, "staff")
    answers = await asyncio.gather(
        *(admin.access.GrantRole(request) for _ in range(4)),
        admin.access.RevokeRole(revocation),
        *(admin.access.GrantRole(request) for _ in range(4)),
    )
    copies = [tuple(answer.roles) for place, answer in enumerate(answers) if place != 4]
    assert set(copies) == {("customer", "staff")}


async def test_of_many_that_create_one_service_at_once_one_does(server: Running, admin: Api) -> None:
    """The name is then taken, and the one key works."""
    requests = [
        access_service_pb2.CreateServiceAccountRequest(service_account=accounts_pb2.ServiceAccount(name="till"))
        for _ in range(6)
    ]
    outcomes = await asyncio.gather(*(outcome(admin.access.CreateServiceAccount(each)) for each in requests))
    assert Counter(outcomes) == {"done": 1, "NAME_TAKEN": 5}
    assert (await kept(server.database, "identity.accounts")).count('"till"') == 1


async def test_a_service_account_requested_many_times_at_once_has_one_key(admin: Api) -> None:
    """Every copy of the request is answered with the same account and the same key."""
    request = access_service_pb2.CreateServiceAccountRequest(
        request_id=str(uuid4()), service_account=accounts_pb2.ServiceAccount(name="till")
    )
    answers = await asyncio.gather(*(admin.access.CreateServiceAccount(request) for _ in range(8)))
    assert len({(answer.secret, answer.service_account.service_account_id) for answer in answers}) == 1
    exchanged = await admin.access.ExchangeKey(access_service_pb2.ExchangeKeyRequest(key=answers[0].secret))
    assert exchanged.access_token

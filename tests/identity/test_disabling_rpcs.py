"""DisableAccount, EnableAccount and ListServiceAccounts, over the wire."""

import json
from uuid import UUID, uuid4

import grpc

from backroom.identity.v1 import access_service_pb2 as pb
from backroom.identity.v1 import accounts_pb2
from tests.fixtures.servers import Api, Running, refusal
from tests.identity.access_cache import within_a_second
from tests.identity.people import kept, me, outcome
from tests.identity.sessions import begun, next_token


def disabling(account_id: UUID | None, request_id: str = "") -> pb.DisableAccountRequest:
    return pb.DisableAccountRequest(account_id=str(account_id), request_id=request_id)


def enabling(account_id: UUID | None, request_id: str = "") -> pb.EnableAccountRequest:
    return pb.EnableAccountRequest(account_id=str(account_id), request_id=request_id)


async def service(admin: Api, name: str = "till") -> tuple[UUID, str]:
    """A new service account, and its key."""
    answer = await admin.access.CreateServiceAccount(
        pb.CreateServiceAccountRequest(service_account=accounts_pb2.ServiceAccount(name=name, roles=["service"]))
    )
    return UUID(answer.service_account.service_account_id), answer.secret


async def test_a_disabled_account_is_refused_within_a_second(server: Running, admin: Api) -> None:
    """Its tokens and its sessions end for good; once enabled again, it may sign in again."""
    person = await begun(server.application, server.channel, "customer")
    assert await outcome(me(person.api)) == "done"
    for _ in range(2):
        assert await outcome(admin.access.DisableAccount(disabling(person.api.account_id))) == "done"
    await within_a_second(lambda: outcome(me(person.api)), "TOKEN_INVALID")
    assert await next_token(server.anonymous, person.refresh_token) is None
    listed = (await admin.access.ListUsers(pb.ListUsersRequest())).users
    assert [user.user_id for user in listed if user.HasField("disable_time")] == [str(person.api.account_id)]
    for _ in range(2):
        assert await outcome(admin.access.EnableAccount(enabling(person.api.account_id))) == "done"
    assert await next_token(server.anonymous, person.refresh_token) is None
    again = await begun(server.application, server.channel, account_id=person.api.account_id)
    assert await outcome(me(again.api)) == "done"
    assert await next_token(server.anonymous, again.refresh_token) is not None


async def test_a_disabled_service_is_refused_within_a_second(server: Running, admin: Api) -> None:
    """Its key is not accepted until it is enabled again; then its tokens are valid again, too."""
    account_id, key = await service(admin)
    exchanging = pb.ExchangeKeyRequest(key=key)
    token = (await server.anonymous.access.ExchangeKey(exchanging)).access_token
    till = Api(server.channel, token)
    assert await outcome(me(till)) == "done"
    await admin.access.DisableAccount(disabling(account_id))
    await within_a_second(lambda: outcome(me(till)), "TOKEN_INVALID")
    assert await outcome(server.anonymous.access.ExchangeKey(exchanging)) == "CREDENTIALS_INVALID"
    (listed,) = (await admin.access.ListServiceAccounts(pb.ListServiceAccountsRequest())).service_accounts
    assert listed.HasField("disable_time")
    await admin.access.EnableAccount(enabling(account_id))
    await within_a_second(lambda: outcome(me(till)), "done")
    assert await outcome(server.anonymous.access.ExchangeKey(exchanging)) == "done"


async def test_a_repeated_request_changes_nothing_more(admin: Api, customer: Api) -> None:
    """Not even if the account was enabled in between."""
    request = disabling(customer.account_id, str(uuid4()))
    await admin.access.DisableAccount(request)
    await admin.access.EnableAccount(enabling(customer.account_id))
    await admin.access.DisableAccount(request)
    users = (await admin.access.ListUsers(pb.ListUsersRequest())).users
    assert not any(user.HasField("disable_time") for user in users)


async def test_the_last_enabled_admin_cannot_be_disabled(server: Running, admin: Api) -> None:
    """A disabled admin does not count as one that is left, and its role does not protect another."""
    other = await server.sign_in("admin")
    await admin.access.DisableAccount(disabling(other.account_id))
    for call in (
        admin.access.DisableAccount(disabling(admin.account_id)),
        admin.access.RevokeRole(pb.RevokeRoleRequest(account_id=str(admin.account_id), role="admin")),
    ):
        answer = await refusal(call)
        assert (answer.code, answer.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "LAST_ADMIN")
    revoke = pb.RevokeRoleRequest(account_id=str(other.account_id), role="admin")
    assert await outcome(admin.access.RevokeRole(revoke)) == "done"
    await admin.access.EnableAccount(enabling(other.account_id))
    await admin.access.GrantRole(pb.GrantRoleRequest(account_id=str(other.account_id), role="admin"))
    assert await outcome(admin.access.DisableAccount(disabling(admin.account_id))) == "done"


async def test_an_unknown_account_is_named(admin: Api) -> None:
    """By the id that was sent."""
    nobody = uuid4()
    for call in (admin.access.DisableAccount(disabling(nobody)), admin.access.EnableAccount(enabling(nobody))):
        answer = await refusal(call)
        assert (answer.code, answer.reason) == (grpc.StatusCode.NOT_FOUND, "ACCOUNT_NOT_FOUND")
        assert answer.metadata == {"account_id": str(nobody)}


async def test_pages_of_service_accounts_see_each_exactly_once(admin: Api) -> None:
    """Oldest first, and no person among them."""
    made = [await service(admin, f"till-{place}") for place in range(5)]
    seen, token = [], ""
    while True:
        page = await admin.access.ListServiceAccounts(pb.ListServiceAccountsRequest(page_size=2, page_token=token))
        assert len(page.service_accounts) <= 2
        seen += [UUID(each.service_account_id) for each in page.service_accounts]
        token = page.next_page_token
        if not token:
            break
    assert seen == [account_id for account_id, _ in made]


async def test_disabling_and_enabling_are_recorded(server: Running, admin: Api, customer: Api) -> None:
    """With caller, method and account; a refused change with the reason."""
    await admin.access.DisableAccount(disabling(customer.account_id))
    await admin.access.EnableAccount(enabling(customer.account_id))
    await refusal(admin.access.DisableAccount(disabling(admin.account_id)))
    entries = (await kept(server.database, "frame.audit_entries")).splitlines()
    record = sorted((line for line in entries if "able" in line), key=lambda line: int(json.loads(line)["sequence"]))
    assert len(record) == 3
    assert '"LAST_ADMIN"' in record[2]
    for line, method in zip(record, ("DisableAccount", "EnableAccount"), strict=False):
        assert f"AccessService/{method}" in line
        assert str(admin.account_id) in line
        assert f"account/{customer.account_id}" in line

"""GrantRole, RevokeRole and ListUsers, over the wire."""

import base64
from datetime import timedelta
from uuid import uuid4

import grpc

from backroom.common.v1 import page_pb2
from backroom.identity.v1 import access_service_pb2
from storage.database import Database
from storage.identity.store import IDENTITY
from tests.fixtures.servers import Api, Running, refusal, refused, sign_in
from tests.identity.access_cache import within_a_second
from tests.identity.people import granting, kept, me, outcome, person, revoking, robot

NOBODY = uuid4()


def listing(**rest: object) -> access_service_pb2.ListUsersRequest:
    return access_service_pb2.ListUsersRequest(**rest)  # type: ignore[arg-type] # the tests name fields of the message


async def grants(database: Database) -> str:
    return await kept(database, "identity.role_grants")


async def test_a_granted_role_takes_effect_within_a_second(server: Running, admin: Api) -> None:
    """The answer lists all roles in order; the account's existing token already has the permissions."""
    user = await server.sign_in("customer")
    assert (await refusal(user.access.ListUsers(listing()))).reason == "PERMISSION_MISSING"
    answer = await admin.access.GrantRole(granting(user.account_id, "manager"))
    assert list(answer.roles) == ["customer", "manager"]
    await within_a_second(lambda: outcome(user.access.ListUsers(listing())), "done")


async def test_a_revoked_role_takes_effect_within_a_second(server: Running, admin: Api) -> None:
    """Whatever the existing token says, and although it was used a moment ago."""
    user = await server.sign_in("customer", "manager")
    assert (await user.access.ListUsers(listing())).users
    answer = await admin.access.RevokeRole(revoking(user.account_id, "manager"))
    assert list(answer.roles) == ["customer"]
    await within_a_second(lambda: outcome(user.access.ListUsers(listing())), "PERMISSION_MISSING")


async def test_granting_and_revoking_twice_change_nothing(server: Running, admin: Api, customer: Api) -> None:
    """Each is answered with the current roles, whether it changed anything or not."""
    for _ in range(2):
        answer = await admin.access.GrantRole(granting(customer.account_id, "staff"))
        assert list(answer.roles) == ["customer", "staff"]
    for _ in range(2):
        answer = await admin.access.RevokeRole(revoking(customer.account_id, "staff"))
        assert list(answer.roles) == ["customer"]
    assert list((await admin.access.RevokeRole(revoking(customer.account_id, "customer"))).roles) == []
    assert str(customer.account_id) not in await grants(server.database)


async def test_a_repeated_request_returns_its_first_answer(admin: Api, customer: Api) -> None:
    """Even if the role was revoked in between, which the repetition does not undo."""
    request = granting(customer.account_id, "staff", request_id=str(uuid4()))
    first = await admin.access.GrantRole(request)
    await admin.access.RevokeRole(revoking(customer.account_id, "staff"))
    assert await admin.access.GrantRole(request) == first
    assert list((await me(customer)).user.roles) == ["customer"]


async def test_a_request_id_is_not_shared_between_methods(admin: Api, customer: Api) -> None:
    """RevokeRole with the fields of a GrantRole is other content, and so is another role."""
    request_id = str(uuid4())
    await admin.access.GrantRole(granting(customer.account_id, "staff", request_id=request_id))
    for call in (
        admin.access.RevokeRole(revoking(customer.account_id, "staff", request_id=request_id)),
        admin.access.GrantRole(granting(customer.account_id, "manager", request_id=request_id)),
    ):
        answer = await refusal(call)
        assert (answer.code, answer.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "REQUEST_ID_REUSED")
    assert list((await me(customer)).user.roles) == ["customer", "staff"]


async def test_unknown_roles_and_accounts_are_named(server: Running, admin: Api, customer: Api) -> None:
    """The role is checked first, and nothing is granted or revoked."""
    before = await grants(server.database)
    for method, request in ((admin.access.GrantRole, granting), (admin.access.RevokeRole, revoking)):
        role = await refusal(method(request(customer.account_id, "wizard")))
        assert (role.code, role.reason, role.metadata) == (
            grpc.StatusCode.NOT_FOUND,
            "ROLE_NOT_FOUND",
            {"role": "wizard"},
        )
        account = await refusal(method(request(NOBODY, "staff")))
        assert (account.code, account.reason, account.metadata) == (
            grpc.StatusCode.NOT_FOUND,
            "ACCOUNT_NOT_FOUND",
            {"account_id": str(NOBODY)},
        )
        assert (await refusal(method(request(NOBODY, "wizard")))).reason == "ROLE_NOT_FOUND"
    assert await grants(server.database) == before


async def test_malformed_ids_and_roles_are_named_by_their_fields(admin: Api) -> None:
    """What cannot be an account's id or a role's name is not looked up."""
    malformed = (("ada", "staff", "account_id"), ("", "staff", "account_id"), (NOBODY, "", "role"))
    for account_id, role, field in (*malformed, (NOBODY, "x" * 41, "role")):
        for call in (
            admin.access.GrantRole(granting(account_id, role)),
            admin.access.RevokeRole(revoking(account_id, role)),
        ):
            answer = await refusal(call)
            assert (answer.reason, list(answer.fields)) == ("FIELD_INVALID", [field])


async def test_the_last_admin_cannot_be_revoked(server: Running, admin: Api) -> None:
    """Not even by that admin itself; another admin's can be."""
    answer = await refusal(admin.access.RevokeRole(revoking(admin.account_id, "admin")))
    assert (answer.code, answer.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "LAST_ADMIN")
    other = await server.sign_in("admin")
    assert list((await admin.access.RevokeRole(revoking(admin.account_id, "admin"))).roles) == []
    answer = await refusal(other.access.RevokeRole(revoking(other.account_id, "admin")))
    assert answer.reason == "LAST_ADMIN"
    assert "admin" in await grants(server.database)


async def test_revoking_admin_from_an_account_without_it_changes_nothing(admin: Api, customer: Api) -> None:
    """Even if only one admin is left."""
    answer = await admin.access.RevokeRole(revoking(customer.account_id, "admin"))
    assert list(answer.roles) == ["customer"]


async def test_a_service_may_be_the_last_admin(server: Running, admin: Api) -> None:
    """The admin role counts on services as it does on people."""
    keeper = robot("keeper", "admin")
    other = await server.sign_in("admin")
    async with server.database.store(IDENTITY).transaction() as tx:
        assert await tx.accounts.add(keeper)
    assert list((await admin.access.RevokeRole(revoking(admin.account_id, "admin"))).roles) == []
    assert list((await other.access.RevokeRole(revoking(other.account_id, "admin"))).roles) == []
    async with server.database.store(IDENTITY).transaction() as tx:
        assert await tx.accounts.lock_holders("admin") == [keeper.id]


async def test_callers_without_the_permission_change_nothing(server: Running) -> None:
    """Every role but admin is refused, with the permission that it lacks."""
    before = await grants(server.database)
    for role in ("customer", "staff", "manager", "service"):
        api = await sign_in(server.application, server.channel, [role])
        answer = await refusal(api.access.GrantRole(granting(api.account_id, "admin")))
        assert (answer.code, answer.reason) == (grpc.StatusCode.PERMISSION_DENIED, "PERMISSION_MISSING")
        assert answer.metadata == {"permission": "access.manage"}
    assert "admin" not in before + await grants(server.database)


async def test_pages_of_users_see_each_exactly_once(server: Running, admin: Api) -> None:
    """Five more users, two per page: oldest first, none twice, none left out."""
    others = [await server.sign_in("customer") for _ in range(5)]
    emails, sizes, token = [], [], ""
    while True:
        page = await admin.access.ListUsers(listing(page_size=2, page_token=token))
        sizes.append(len(page.users))
        emails += [user.email for user in page.users]
        token = page.next_page_token
        if not token:
            break
    assert sizes == [2, 2, 2]
    assert emails == [f"{api.account_id}@example.com" for api in (admin, *others)]


async def test_users_with_the_same_creation_time_are_all_listed(server: Running, admin: Api) -> None:
    """A page may end between two of them."""
    async with server.database.store(IDENTITY).transaction() as tx:
        for _ in range(3):
            assert await tx.accounts.add(person(), password_hash="none")
    seen, token = [], ""
    for _ in range(4):
        page = await admin.access.ListUsers(listing(page_size=1, page_token=token))
        seen += [user.email for user in page.users]
        token = page.next_page_token
    assert token == ""
    assert len(set(seen)) == 4


async def test_users_are_listed_by_role(server: Running, admin: Api) -> None:
    """Only accounts with the role, never services, and none for an unknown role."""
    async with server.database.store(IDENTITY).transaction() as tx:
        assert await tx.accounts.add(robot("till", "admin"))
        assert await tx.accounts.add(person("bob@example.com", "staff"), password_hash="none")
    admins = await admin.access.ListUsers(listing(role="admin"))
    assert [user.user_id for user in admins.users] == [str(admin.account_id)]
    everyone = await admin.access.ListUsers(listing())
    assert len(everyone.users) == 2
    assert not (await admin.access.ListUsers(listing(role="wizard"))).users


async def test_a_token_continues_only_its_own_list(server: Running, admin: Api) -> None:
    """With another role, corrupted, or made up, it is refused; another page size is allowed."""
    for _ in range(2):
        await server.sign_in("customer")
    token = (await admin.access.ListUsers(listing(page_size=1))).next_page_token
    assert len((await admin.access.ListUsers(listing(page_size=50, page_token=token))).users) == 2
    for request in (
        listing(page_token=token, role="customer"),
        listing(page_token=token[:-6]),
        listing(page_token="garbage"),
        listing(page_token="é"),
    ):
        answer = await refusal(admin.access.ListUsers(request))
        assert (answer.code, answer.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "PAGE_TOKEN_INVALID")


FORGED = [
    (),
    ("2026-03-01T12:00:00+00:00",),
    ("2026-03-01T12:00:00+00:00", str(NOBODY), "more"),
    ("yesterday", str(NOBODY)),
    ("2026-03-01T12:00:00+00:00", "ada"),
    ("2026-03-01T12:00:00+00:00", "'; --"),
    ("2026-03-01T12:00:00+00:00\0", str(NOBODY)),
    ("99999-03-01T12:00:00+00:00", str(NOBODY)),
    ("2026-03-01T12:00:00+23:59:59.999999", str(NOBODY)),
    ("0001-01-01T00:00:00+23:59", str(NOBODY)),
    ("9999-12-31T23:59:59-23:59", str(NOBODY)),
    ("2026-03-01", str(NOBODY)),
]


async def test_a_forged_token_is_refused_or_harmless(server: Running, admin: Api) -> None:
    """Whatever sort key is put into a token of the right list, the call is never INTERNAL."""
    await server.sign_in("customer")
    token = (await admin.access.ListUsers(listing(page_size=1))).next_page_token
    genuine = page_pb2.PageToken.FromString(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
    outcomes = []
    for after in FORGED:
        forged = page_pb2.PageToken(list_digest=genuine.list_digest, after=after)
        text = base64.urlsafe_b64encode(forged.SerializeToString()).decode()
        try:
            await admin.access.ListUsers(listing(page_token=text))
            outcomes.append("listed")
        except grpc.aio.AioRpcError as error:
            outcomes.append(refused(error).reason)
    assert outcomes[:8] == ["PAGE_TOKEN_INVALID"] * 8
    assert set(outcomes[8:]) <= {"PAGE_TOKEN_INVALID", "listed"}


async def test_the_size_of_a_page_is_bounded(server: Running, admin: Api) -> None:
    """0 means 50, more than 1,000 means 1,000, and a negative size is refused."""
    async with server.database.store(IDENTITY).transaction() as tx:
        for place in range(50):
            born = person().create_time + timedelta(seconds=place)
            assert await tx.accounts.add(person(create_time=born), password_hash="none")
    assert len((await admin.access.ListUsers(listing())).users) == 50
    assert len((await admin.access.ListUsers(listing(page_size=2**31 - 1))).users) == 51
    answer = await refusal(admin.access.ListUsers(listing(page_size=-1)))
    assert (answer.reason, list(answer.fields)) == ("FIELD_INVALID", ["page_size"])


async def test_customers_cannot_list_users(customer: Api) -> None:
    """The refusal names the permission."""
    answer = await refusal(customer.access.ListUsers(listing()))
    assert (answer.code, answer.reason) == (grpc.StatusCode.PERMISSION_DENIED, "PERMISSION_MISSING")
    assert answer.metadata == {"permission": "users.list"}

"""CreateRole, GetRole, ListRoles, UpdateRole and DeleteRole, over the wire."""

from typing import Any
from uuid import uuid4

import grpc
import pytest
from google.protobuf.field_mask_pb2 import FieldMask

from backroom.identity.v1 import access_service_pb2 as pb
from backroom.identity.v1 import accounts_pb2, identity_service_pb2, roles_pb2
from tests.fixtures.roles import ROLES
from tests.fixtures.servers import Api, Running, refusal
from tests.identity.access_cache import within_a_second
from tests.identity.people import granting, kept, outcome, revoking

SELLER = ("orders.place", "orders.read")


def role(name: str = "seller", *permissions: str, **rest: Any) -> roles_pb2.Role:
    return roles_pb2.Role(name=name, permissions=permissions, **rest)


def creating(name: str = "seller", *permissions: str, request_id: str = "", **rest: Any) -> pb.CreateRoleRequest:
    return pb.CreateRoleRequest(request_id=request_id, role=role(name, *permissions, **rest))


def editing(edited: roles_pb2.Role, *paths: str, request_id: str = "") -> pb.UpdateRoleRequest:
    return pb.UpdateRoleRequest(request_id=request_id, role=edited, update_mask=FieldMask(paths=paths))


def deleting(name: str = "seller", *, force: bool = False, request_id: str = "") -> pb.DeleteRoleRequest:
    return pb.DeleteRoleRequest(name=name, force=force, request_id=request_id)


async def made(api: Api, name: str = "seller", *permissions: str) -> roles_pb2.Role:
    return (await api.access.CreateRole(creating(name, *permissions))).role  # type: ignore[no-any-return] # stubs are Any


async def found(api: Api, name: str = "seller") -> roles_pb2.Role:
    return (await api.access.GetRole(pb.GetRoleRequest(name=name))).role  # type: ignore[no-any-return] # as above


async def permissions_of(api: Api) -> list[str]:
    return list((await api.identity.GetMe(identity_service_pb2.GetMeRequest())).permissions)


@pytest.fixture
async def deputy(server: Running, admin: Api) -> Api:
    """An account that may manage access, and buy, and no more."""
    await made(admin, "deputy", "access.manage", *SELLER)
    return await server.sign_in("deputy")


async def test_a_role_is_created_and_granted_and_takes_effect(server: Running, admin: Api) -> None:
    """The server sets the output-only fields; an account that is granted it has its permissions, and sees them."""
    sent = creating("seller", "orders.read", "orders.place", description="Sells.", built_in=True, etag="mine")
    created = (await admin.access.CreateRole(sent)).role
    assert (created.name, created.description, tuple(created.permissions)) == ("seller", "Sells.", SELLER)
    assert not created.built_in
    assert created.etag not in ("", "mine")
    assert created.create_time == created.update_time
    assert await found(admin) == created
    user = await server.sign_in()
    assert await permissions_of(user) == []
    await admin.access.GrantRole(granting(user.account_id, "seller"))
    await within_a_second(lambda: permissions_of(user), list(SELLER))


async def test_built_in_roles_are_listed_with_custom_ones(admin: Api) -> None:
    """Built-in ones first, each by its name; page by page the same."""
    for name in ("zoo", "a-role", "b.role"):
        await made(admin, name, "orders.read")
    whole = list((await admin.access.ListRoles(pb.ListRolesRequest())).roles)
    assert [each.name for each in whole] == [*sorted(ROLES), "a-role", "b.role", "zoo"]
    for each in whole:
        assert await found(admin, each.name) == each
        assert each.built_in == (each.name in ROLES)
        if each.built_in:
            assert tuple(each.permissions) == tuple(sorted(ROLES[each.name]))
            assert each.description
            assert not each.HasField("create_time")
    for size in (1, 3, 5, 6):
        seen, token = [], ""
        while True:
            page = await admin.access.ListRoles(pb.ListRolesRequest(page_size=size, page_token=token))
            seen += page.roles
            token = page.next_page_token
            if not token:
                break
        assert seen == whole


async def test_a_role_is_refused_in_the_order_of_the_contract(admin: Api, deputy: Api) -> None:
    """An unknown permission, one that the caller lacks, and a taken name."""
    taken = {name: {"role": name} for name in ("customer", "deputy")}
    for api, request, reason, metadata in (
        (deputy, creating("admin", "a.b", "users.list"), "PERMISSION_UNKNOWN", {"permission": "a.b"}),
        (deputy, creating("admin", "orders.read", "users.list"), "PERMISSION_NOT_HELD", {"permission": "users.list"}),
        (admin, creating("customer", "orders.read"), "ROLE_EXISTS", taken["customer"]),
        (admin, creating("deputy", "orders.read"), "ROLE_EXISTS", taken["deputy"]),
    ):
        answer = await refusal(api.access.CreateRole(request))
        assert (answer.reason, answer.metadata) == (reason, metadata)


async def test_a_role_is_changed_according_to_its_mask(admin: Api) -> None:
    """Unnamed fields do not change; each change has another etag, and an old etag is refused."""
    first = await made(admin, "seller", *SELLER)
    described = (await admin.access.UpdateRole(editing(role("seller", "a.b", description="New."), "description"))).role
    assert (described.description, tuple(described.permissions)) == ("New.", SELLER)
    etag = described.etag
    permitted = (await admin.access.UpdateRole(editing(role("seller", "audit.read", etag=etag), "permissions"))).role
    assert (permitted.description, list(permitted.permissions)) == ("New.", ["audit.read"])
    assert len({first.etag, etag, permitted.etag}) == 3
    assert permitted.create_time == first.create_time
    assert permitted.update_time.ToNanoseconds() > first.update_time.ToNanoseconds()
    answer = await refusal(admin.access.UpdateRole(editing(role("seller", etag=etag), "description")))
    assert (answer.code, answer.reason) == (grpc.StatusCode.ABORTED, "ETAG_MISMATCH")
    assert await found(admin) == permitted


async def test_changing_a_role_takes_effect_for_its_holders_within_a_second(server: Running, admin: Api) -> None:
    """So does deleting it by force; without force, a role with holders is not deleted."""
    await made(admin, "seller", *SELLER)
    user = await server.sign_in("seller")
    assert await permissions_of(user) == list(SELLER)
    await admin.access.UpdateRole(editing(role("seller", "orders.read", "catalog.read"), "permissions"))
    await within_a_second(lambda: permissions_of(user), ["catalog.read", "orders.read"])
    answer = await refusal(admin.access.DeleteRole(deleting()))
    assert (answer.code, answer.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "ROLE_IN_USE")
    await admin.access.DeleteRole(deleting(force=True))
    await within_a_second(lambda: permissions_of(user), [])
    assert "seller" not in await kept(server.database, "identity.role_grants")


async def test_a_missing_or_built_in_role_is_not_changed(admin: Api) -> None:
    """Each is named."""
    for name, reason in (("wizard", "ROLE_NOT_FOUND"), ("customer", "ROLE_BUILT_IN")):
        for call in (
            admin.access.UpdateRole(editing(role(name), "description")),
            admin.access.DeleteRole(deleting(name, force=True)),
        ):
            answer = await refusal(call)
            assert (answer.reason, answer.metadata) == (reason, {"role": name})
    assert (await refusal(admin.access.GetRole(pb.GetRoleRequest(name="wizard")))).reason == "ROLE_NOT_FOUND"


async def test_a_repeated_request_returns_its_first_answer(admin: Api) -> None:
    """A role that was changed or deleted since is neither created nor changed again."""
    create = creating("seller", *SELLER, request_id=str(uuid4()))
    created = await admin.access.CreateRole(create)
    edit = editing(role("seller", description="New."), "description", request_id=str(uuid4()))
    edited = await admin.access.UpdateRole(edit)
    await admin.access.UpdateRole(editing(role("seller", description="Newer."), "description"))
    assert await admin.access.CreateRole(create) == created
    assert await admin.access.UpdateRole(edit) == edited
    assert (await found(admin)).description == "Newer."
    delete = deleting(request_id=str(uuid4()))
    await admin.access.DeleteRole(delete)
    await made(admin, "seller", *SELLER)
    await admin.access.DeleteRole(delete)
    assert (await found(admin)).name == "seller"


async def test_an_etag_of_a_deleted_role_does_not_match_a_new_one_of_its_name(admin: Api) -> None:
    """Although both are at their first version."""
    first = await made(admin, "seller", *SELLER)
    await admin.access.DeleteRole(deleting())
    await made(admin, "seller", *SELLER)
    answer = await refusal(admin.access.UpdateRole(editing(role("seller", etag=first.etag), "description")))
    assert answer.reason == "ETAG_MISMATCH"


async def test_no_caller_exceeds_its_own_permissions(server: Running, admin: Api, deputy: Api) -> None:
    """Neither by changing, granting or revoking a role, nor over an account with more permissions."""
    await made(admin, "keeper", "orders.read", "audit.read")
    await made(admin, "seller", *SELLER)
    keeper, seller = await server.sign_in("keeper"), await server.sign_in("seller")
    access = deputy.access
    roles = (await admin.access.ListRoles(pb.ListRolesRequest())).roles
    lacked = {each.name: min({*each.permissions} - {"access.manage", *SELLER}, default="") for each in roles}
    for method, request, lacking in (
        (access.CreateRole, creating("mine", "audit.read"), "audit.read"),
        (access.UpdateRole, editing(role("seller", "audit.read"), "permissions"), "audit.read"),
        (access.UpdateRole, editing(role("keeper", "orders.read"), "permissions"), "audit.read"),
        (access.UpdateRole, editing(role("keeper"), "description"), "audit.read"),
        (access.DeleteRole, deleting("keeper", force=True), "audit.read"),
        (access.GrantRole, granting(deputy.account_id, "keeper"), "audit.read"),
        (access.GrantRole, granting(deputy.account_id, "admin"), lacked["admin"]),
        (access.RevokeRole, revoking(keeper.account_id, "keeper"), "audit.read"),
        (access.RevokeRole, revoking(admin.account_id, "admin"), lacked["admin"]),
        (access.DisableAccount, pb.DisableAccountRequest(account_id=str(keeper.account_id)), "audit.read"),
        (access.DisableAccount, pb.DisableAccountRequest(account_id=str(admin.account_id)), lacked["admin"]),
        (access.EnableAccount, pb.EnableAccountRequest(account_id=str(keeper.account_id)), "audit.read"),
        (
            access.CreateServiceAccount,
            pb.CreateServiceAccountRequest(service_account=accounts_pb2.ServiceAccount(name="till", roles=["keeper"])),
            "audit.read",
        ),
        (
            access.CreateServiceAccount,
            pb.CreateServiceAccountRequest(service_account=accounts_pb2.ServiceAccount(name="till", roles=["service"])),
            lacked["service"],
        ),
    ):
        answer = await refusal(method(request))
        assert (answer.code, answer.reason) == (grpc.StatusCode.PERMISSION_DENIED, "PERMISSION_NOT_HELD")
        assert answer.metadata == {"permission": lacking}
    for method, request in (
        (access.CreateRole, creating("mine", *SELLER)),
        (access.UpdateRole, editing(role("seller", "orders.read"), "permissions")),
        (access.GrantRole, granting(seller.account_id, "deputy")),
        (access.RevokeRole, revoking(seller.account_id, "deputy")),
        (access.DisableAccount, pb.DisableAccountRequest(account_id=str(seller.account_id))),
        (access.EnableAccount, pb.EnableAccountRequest(account_id=str(seller.account_id))),
        (access.DeleteRole, deleting("mine")),
    ):
        assert await outcome(method(request)) == "done"


async def test_a_malformed_role_is_named_by_its_fields(admin: Api) -> None:
    """Its name, a duplicate permission, and a mask of fields that cannot be changed."""
    for call, field in (
        (admin.access.CreateRole(creating("Seller")), "role.name"),
        (admin.access.CreateRole(creating("x" * 41)), "role.name"),
        (admin.access.CreateRole(creating("seller", "orders.read", "orders.read")), "role.permissions"),
        (admin.access.CreateRole(pb.CreateRoleRequest()), "role"),
        (admin.access.UpdateRole(editing(role("seller"), "name")), "update_mask"),
    ):
        answer = await refusal(call)
        assert (answer.reason, list(answer.fields)) == ("FIELD_INVALID", [field])

"""What the server reads from the contract before it starts."""

import pytest
from google.protobuf import descriptor_pb2
from google.protobuf.descriptor import ServiceDescriptor
from google.protobuf.descriptor_pool import DescriptorPool

from backroom.common.v1 import access_pb2, limits_pb2
from server.frame.contract import PUBLIC, AccessRule, ContractError, largest_bodies_of, rules_of
from server.frame.standard import STANDARD_RULES
from tests.fixtures.roles import PERMISSIONS
from tests.frame.contracts import contract_files

KNOWN = frozenset(["shop.read"])
Access = access_pb2.Access
Limits = limits_pb2.Limits


def service(limits: limits_pb2.Limits | None = None, **methods: Access | None) -> ServiceDescriptor:
    """A service of a test contract, whose methods have these options."""
    pool = DescriptorPool()
    for file in (descriptor_pb2.DESCRIPTOR, access_pb2.DESCRIPTOR, limits_pb2.DESCRIPTOR):
        pool.AddSerializedFile(file.serialized_pb)
    made = descriptor_pb2.FileDescriptorProto(name="shop/v1/shop.proto", package="shop.v1", syntax="proto3")
    made.dependency.extend(["backroom/common/v1/access.proto", "backroom/common/v1/limits.proto"])
    made.message_type.add(name="Empty")
    described = made.service.add(name="ShopService")
    for name, access in methods.items():
        method = described.method.add(name=name, input_type=".shop.v1.Empty", output_type=".shop.v1.Empty")
        if access is not None:
            method.options.Extensions[access_pb2.access].CopyFrom(access)
        if limits is not None:
            method.options.Extensions[limits_pb2.limits].CopyFrom(limits)
    pool.AddSerializedFile(made.SerializeToString())
    found: ServiceDescriptor = pool.FindServiceByName("shop.v1.ShopService")
    return found


def test_each_method_has_the_rule_that_it_declares() -> None:
    """By the path of the method."""
    declared = service(Look=Access(public=True), Enter=Access(signed_in=True), Buy=Access(permission="shop.read"))
    assert rules_of([declared], KNOWN) == {
        "/shop.v1.ShopService/Look": PUBLIC,
        "/shop.v1.ShopService/Enter": AccessRule(public=False, permission=None),
        "/shop.v1.ShopService/Buy": AccessRule(public=False, permission="shop.read"),
    }


@pytest.mark.parametrize(
    "access",
    [None, Access(), Access(public=False), Access(signed_in=False)],
    ids=["no option", "no rule", "public: false", "signed_in: false"],
)
def test_a_method_without_a_rule_keeps_the_server_from_starting(access: Access | None) -> None:
    """The error names the method and what is missing; a rule without content is no rule."""
    with pytest.raises(ContractError, match=r"^shop\.v1\.ShopService\.Enter: the option .* is missing$"):
        rules_of([service(Look=Access(public=True), Enter=access)], KNOWN)


@pytest.mark.parametrize("permission", ["shop.write", "", "Shop.read", "shop.read "])
def test_a_permission_that_no_role_has_keeps_the_server_from_starting(permission: str) -> None:
    """The error names the method and the permission."""
    with pytest.raises(ContractError) as raised:
        rules_of([service(Buy=Access(permission=permission))], KNOWN)
    assert str(raised.value) == f"shop.v1.ShopService.Buy: no module declares the permission {permission!r}"


def test_a_method_has_the_message_limit_that_it_declares() -> None:
    """By the path of the method; 16 KiB if it declares none."""
    assert largest_bodies_of([service(Buy=None)]) == {"/shop.v1.ShopService/Buy": 16_384}
    for limit in (1024, 524_288):
        declared = service(Limits(largest_body_bytes=limit), Buy=None)
        assert largest_bodies_of([declared]) == {"/shop.v1.ShopService/Buy": limit}


@pytest.mark.parametrize("limits", [Limits(), *(Limits(largest_body_bytes=n) for n in (-1, 1023, 524_289))], ids=str)
def test_an_invalid_limit_keeps_the_server_from_starting(limits: limits_pb2.Limits) -> None:
    """The error names the method, the option, the allowed range and the value."""
    with pytest.raises(ContractError) as raised:
        largest_bodies_of([service(limits, Buy=None)])
    assert str(raised.value) == (
        "shop.v1.ShopService.Buy: (backroom.common.v1.limits).largest_body_bytes must be 1,024 to 524,288, "
        f"and is {limits.largest_body_bytes:,}"
    )


def test_no_services_have_no_rules() -> None:
    """The result is empty."""
    assert rules_of([], KNOWN) == {}


def test_our_own_contract_has_a_rule_for_each_method() -> None:
    """No method is public that changes what others rely on, and the standard services are included."""
    services = [service for file in contract_files() for service in file.services_by_name.values()]
    rules = rules_of(services, PERMISSIONS)
    assert len(rules) == sum(len(service.methods) for service in services)
    public = {path.rpartition("/")[2] for path, rule in rules.items() if rule.public}
    by_mail = {"SendEmailVerification", "VerifyEmail", "RequestPasswordReset", "ResetPassword"}
    assert public == {"Register", "Login", "Refresh", "Logout", "ExchangeKey"} | by_mail
    assert not set(rules) & set(STANDARD_RULES)
    assert set(STANDARD_RULES.values()) == {PUBLIC}

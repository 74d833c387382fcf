"""The table of roles, held against the contract and against the code that asks for permissions."""

import ast
from pathlib import Path

import pytest

from backroom.common.v1 import access_pb2
from server.identity.roles import ADMIN, CUSTOMER, PERMISSIONS, ROLES, SERVICE, permissions_of
from tests.frame.contracts import contract_files

SERVER = Path(__file__).resolve().parents[2] / "server"


def asked_in_code() -> set[str]:
    """Every permission that the server's code asks a caller for by a literal name."""
    found = set()
    for path in SERVER.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "may":
                found |= {each.value for each in node.args if isinstance(each, ast.Constant)}
    return {str(each) for each in found}


def asked_in_contract() -> set[str]:
    """Every permission that a method of the contract needs."""
    methods = (
        method for file in contract_files() for service in file.services_by_name.values() for method in service.methods
    )
    rules = (method.GetOptions().Extensions[access_pb2.access] for method in methods)
    return {rule.permission for rule in rules if rule.WhichOneof("rule") == "permission"}


def test_a_customer_buys_for_itself_and_no_more() -> None:
    """What everyone gets who registers, word by word."""
    orders = {"catalog.read", "orders.place", "orders.read", "orders.cancel"}
    assert ROLES[CUSTOMER] == orders | {"payments.create", "payments.read"}


@pytest.mark.parametrize(
    ("role", "more_than", "by"),
    [
        (
            "staff",
            "customer",
            {
                "orders.read_all",
                "orders.place_for",
                "orders.hold_more",
                "orders.fulfill",
                "inventory.read",
                "inventory.adjust",
            },
        ),
        (
            "service",
            "staff",
            {
                "catalog.write",
                "orders.set_price",
                "payments.refund",
                "webhooks.manage",
                "flags.evaluate",
                "flags.sync",
            },
        ),
        (
            "manager",
            "service",
            {"users.list", "flags.read", "flags.write", "flags.approve", "flags.switch_off"},
        ),
        ("admin", "manager", {"access.manage", "audit.read"}),
    ],
)
def test_each_role_adds_to_the_one_below(role: str, more_than: str, by: set[str]) -> None:
    """The roles are a ladder, and each rung is written here word by word."""
    assert ROLES[role] == ROLES[more_than] | by
    assert not ROLES[more_than] & by


def test_only_admins_decide_what_others_may() -> None:
    """No role below it can make itself an admin."""
    assert {role for role, permissions in ROLES.items() if "access.manage" in permissions} == {ADMIN}


def test_each_permission_is_asked_for_somewhere_and_each_one_asked_for_is_known() -> None:
    """The contract, the code and the table name the same permissions."""
    assert asked_in_code() >= {"orders.set_price", "orders.place_for", "orders.read_all"}
    assert asked_in_code() | asked_in_contract() == PERMISSIONS


def test_the_roles_that_code_names_exist() -> None:
    """The roles that are granted without being asked for stand in the table."""
    assert {ADMIN, CUSTOMER, SERVICE} <= set(ROLES)


def test_permissions_of_several_roles_add_up() -> None:
    """Two roles permit what either permits, and a role that no longer exists permits nothing."""
    assert permissions_of(["customer", "manager"]) == ROLES["customer"] | ROLES["manager"]
    assert permissions_of(["customer", "wizard"]) == ROLES["customer"]
    assert permissions_of(["wizard"]) == permissions_of([]) == frozenset()

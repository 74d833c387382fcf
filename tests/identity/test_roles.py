"""The roles, compared with the contract and with the code that checks permissions."""

import ast
import re
from pathlib import Path

import pytest

from backroom.common.v1 import access_pb2
from server.frame.permissions import Permission
from server.identity.permissions import ADMIN, CUSTOMER
from server.identity.rules.roles import BuiltInRoles
from server.modules import MODULES, manifest, permissions
from tests.contract.proto_comments import module_of
from tests.fixtures.roles import BUILT_IN, ROLES, permissions_of
from tests.frame.contracts import contract_files

SERVER = Path(__file__).resolve().parents[2] / "server"


def asked_in_code(module: str) -> set[str]:
    """Every permission that a module's code checks by a literal name."""
    found = set()
    for path in (SERVER / module).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "may":
                found |= {each.value for each in node.args if isinstance(each, ast.Constant)}
            elif isinstance(node, ast.Compare) and ast.unparse(node.comparators[0]).endswith("permissions"):
                found |= {node.left.value} if isinstance(node.left, ast.Constant) else set()
    return {str(each) for each in found}


def asked_in_contract(module: str) -> set[str]:
    """Every permission that a method of a module's contract requires."""
    services = (service for file in contract_files() for service in file.services_by_name.values())
    methods = (method for service in services if module_of(service.full_name) == module for method in service.methods)
    rules = (method.GetOptions().Extensions[access_pb2.access] for method in methods)
    return {rule.permission for rule in rules if rule.WhichOneof("rule") == "permission"}


def held(role: str) -> set[str]:
    """A role's permissions in the modules listed here; other modules' tests cover theirs."""
    modules = ("identity", "commerce", "webhooks")
    return {each.name for module in modules for each in manifest(module).permissions if role in each.roles}


def test_a_customer_buys_for_itself_and_no_more() -> None:
    """The role of every registered user, word by word."""
    orders = {"catalog.read", "orders.place", "orders.read", "orders.cancel"}
    assert held(CUSTOMER) == orders | {"payments.create", "payments.read"}


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
        ("service", "staff", {"catalog.write", "orders.set_price", "payments.refund", "webhooks.manage"}),
        ("manager", "service", {"users.list"}),
        ("admin", "manager", {"access.manage", "accounts.manage", "accounts.export", "audit.read"}),
    ],
)
def test_these_roles_extend_one_another(role: str, more_than: str, by: set[str]) -> None:
    """What each has beyond another one, word by word."""
    assert held(role) == held(more_than) | by
    assert not held(more_than) & by


def test_only_admins_manage_access() -> None:
    """No other role can make itself an admin."""
    assert {role for role, permissions in ROLES.items() if "access.manage" in permissions} == {ADMIN}


@pytest.mark.parametrize("module", MODULES)
def test_each_permission_is_used_by_the_module_that_declares_it(module: str) -> None:
    """A module's contract, code and events use the permissions that the module declares, and no other's."""
    declared = {permission.name for permission in manifest(module).permissions}
    events = {name for event_type in manifest(module).event_types.values() for name in event_type.permissions}
    assert asked_in_contract(module) | asked_in_code(module) | events == declared


def test_each_permission_is_declared_once_and_in_a_sentence() -> None:
    """By one module, for roles that exist."""
    names = [permission.name for permission in permissions()]
    assert len(names) == len(set(names))
    for permission in permissions():
        assert re.fullmatch(r"[A-Z][^.]+\.", permission.description), permission
        assert set(permission.roles) <= set(ROLES), permission
    with pytest.raises(ValueError, match=re.escape("notes.read names editor, which is no built-in role")):
        BuiltInRoles([Permission("notes.read", "Reads notes.", ("customer", "editor"))])


def test_each_role_states_its_purpose() -> None:
    """In a sentence, which docs/access.md shows."""
    assert {*ROLES} == {"customer", "staff", "manager", "service", "admin"}
    assert all(re.fullmatch(r"[A-Z].+\.", BUILT_IN.get(role).description) for role in ROLES)


def test_permissions_of_several_roles_add_up() -> None:
    """Two roles permit what either permits, and a deleted role permits nothing."""
    assert permissions_of(["customer", "manager"]) == ROLES["customer"] | ROLES["manager"]
    assert permissions_of(["customer", "wizard"]) == ROLES["customer"]
    assert permissions_of(["wizard"]) == permissions_of([]) == frozenset()

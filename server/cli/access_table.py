"""docs/access.md: who may call what, made from the contract's descriptors and the roles that come with Backroom."""

import argparse
import importlib
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from google.protobuf.descriptor import ServiceDescriptor

import backroom
import flagd
from server.frame.contract import AccessRule, rules_of
from server.identity.roles import DESCRIPTIONS, PERMISSIONS, ROLES

PATH = Path(__file__).resolve().parents[2] / "docs" / "access.md"

ANONYMOUS, NO_ROLE = "nobody", "no role"
COLUMNS = (ANONYMOUS, NO_ROLE, *ROLES)
"""Who a table's columns are for: without a token, signed in without a role, and each role that is built in."""

_INTRODUCTION = f"""# Who may do what

Made by `make access` from the contract and `server/identity/roles.py`.
`make check` fails where it is not current, and a test calls every cell.

Each method declares its rule in the contract, by the option `(backroom.common.v1.access)`.
A server does not start with a method that has none.
Access is decided on the metadata, before the request's body is read.

- **{ANONYMOUS}**: without a token, or with one that is not valid: UNAUTHENTICATED / TOKEN_INVALID.
- **{NO_ROLE}**: signed in, without any role. Who lacks the permission: PERMISSION_DENIED / PERMISSION_MISSING.
- What counts is what an account may do now, on every server within a second; not what its token says.
- An account that is disabled, and a token whose session or key has ended, is nobody.
- Roles that are made (CreateRole) hold any of the permissions at the end of this page, and go by the same rules.
- Nobody gives, changes or takes away a permission that he does not hold: PERMISSION_DENIED / PERMISSION_NOT_HELD.
- A customer sees and changes what is its own alone: another's answers as what does not exist.
"""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m server.cli.access_table")
    parser.add_argument("--check", action="store_true", help="fail where the file is not current, and leave it")
    made = made_table()
    if not parser.parse_args().check:
        PATH.write_text(made)
    elif not PATH.exists() or PATH.read_text() != made:
        sys.exit("docs/access.md is not current: make access")


def made_table() -> str:
    """The whole page."""
    return "\n".join([_INTRODUCTION, *_roles(), *_methods(), *_permissions()]).rstrip() + "\n"


def services() -> Sequence[ServiceDescriptor]:
    """Every service of the contract, and of others' that we serve, in the order of their files."""
    roots = (Path(next(iter(package.__path__))) for package in (backroom, flagd))
    stubs = (
        importlib.import_module(".".join((root.name, *path.relative_to(root).with_suffix("").parts)))
        for root in roots
        for path in sorted(root.glob("*/v*/*_service_pb2.py"))
    )
    return [service for module in stubs for service in module.DESCRIPTOR.services_by_name.values()]


def allowed(rule: AccessRule, column: str) -> bool:
    """Whether a rule lets a column's caller in."""
    if rule.public:
        return True
    if column == ANONYMOUS:
        return False
    return rule.permission is None or rule.permission in ROLES.get(column, frozenset())


def _roles() -> Iterator[str]:
    yield "## The roles that are built in\n"
    for role in ROLES:
        yield f"- **{role}**: {DESCRIPTIONS[role]}"
    yield ""


def _methods() -> Iterator[str]:
    for service in services():
        yield f"## {service.full_name}\n"
        yield from _row("method", "asks for", *COLUMNS)
        yield from _row("---", "---", *(":-:" for _ in COLUMNS))
        rules = rules_of([service], PERMISSIONS)
        for method in service.methods:
            rule = rules[f"/{service.full_name}/{method.name}"]
            asked = "anyone" if rule.public else f"`{rule.permission}`" if rule.permission else "anyone signed in"
            yield from _row(method.name, asked, *("yes" if allowed(rule, column) else "" for column in COLUMNS))
        yield ""


def _permissions() -> Iterator[str]:
    asked: dict[str, list[str]] = {permission: [] for permission in PERMISSIONS}
    for path, rule in rules_of(services(), PERMISSIONS).items():
        if rule.permission is not None:
            asked[rule.permission].append(path.rpartition("/")[2])
    yield "## The permissions\n"
    yield "Those that no method asks for are asked for within one: for what of it is another's, or dearer to do.\n"
    yield from _row("permission", "asked for by", *ROLES)
    yield from _row("---", "---", *(":-:" for _ in ROLES))
    for permission, methods in sorted(asked.items()):
        held = ("yes" if permission in ROLES[role] else "" for role in ROLES)
        yield from _row(f"`{permission}`", ", ".join(methods) or _WITHIN[permission], *held)


_WITHIN = {
    "orders.hold_more": "PlaceOrder and PlaceOrders, for a longer hold or more unpaid orders than a customer may have",
    "orders.place_for": "PlaceOrder and PlaceOrders, for another customer",
    "orders.read_all": "methods on orders and payments, for those of others",
    "orders.set_price": "PlaceOrder and PlaceOrders, at a price of the caller's own",
}
"""What is asked for in use cases alone, and for what."""


def _row(*cells: str) -> Iterator[str]:
    yield f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    main()

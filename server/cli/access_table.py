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
from server.identity.permissions import ROLES
from server.identity.rules.roles import BuiltInRoles
from server.modules import permissions

PATH = Path(__file__).resolve().parents[2] / "docs" / "access.md"

_BUILT_IN = BuiltInRoles(permissions())
ANONYMOUS, NO_ROLE = "nobody", "no role"
COLUMNS = (ANONYMOUS, NO_ROLE, *ROLES)
"""Who a table's columns are for: without a token, signed in without a role, and each role that is built in."""

_INTRODUCTION = f"""# Who may do what

Made by `make access` from the contract and each module's `permissions.py`.
`make check` fails where it is not current, and a test calls every cell.

Each method declares its rule in the contract, by the option `(backroom.common.v1.access)`.
A server does not start with a method that has none.
Access is decided on the metadata, before the request's body is read.

- **{ANONYMOUS}**: without a token, or with one that is not valid: UNAUTHENTICATED / TOKEN_INVALID.
- **{NO_ROLE}**: signed in, without any role. Who lacks the permission: PERMISSION_DENIED / PERMISSION_MISSING.
- What counts is what an account may do now, on every server within a second; not what its token says.
- An account that is disabled, and a token whose session or key has ended, is nobody.
- Custom roles (CreateRole) grant any of the permissions at the end of this page, by the same rules.
- Nobody gives, changes or takes away a permission that they do not have: PERMISSION_DENIED / PERMISSION_NOT_HELD.
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
    return rule.permission is None or rule.permission in _BUILT_IN.permissions_of([column])


def _roles() -> Iterator[str]:
    yield "## The roles that are built in\n"
    for role, description in ROLES.items():
        yield f"- **{role}**: {description}"
    yield ""


def _methods() -> Iterator[str]:
    for service in services():
        yield f"## {service.full_name}\n"
        yield from _row("method", "requires", *COLUMNS)
        yield from _row("---", "---", *(":-:" for _ in COLUMNS))
        rules = rules_of([service], _BUILT_IN.permissions)
        for method in service.methods:
            rule = rules[f"/{service.full_name}/{method.name}"]
            rule_text = "anyone" if rule.public else f"`{rule.permission}`" if rule.permission else "anyone signed in"
            yield from _row(method.name, rule_text, *("yes" if allowed(rule, column) else "" for column in COLUMNS))
        yield ""


def _permissions() -> Iterator[str]:
    methods: dict[str, list[str]] = {}
    for path, rule in rules_of(services(), _BUILT_IN.permissions).items():
        methods.setdefault(rule.permission or "", []).append(path.rpartition("/")[2])
    yield "## The permissions\n"
    yield "Those that no method requires are required within one: for what of it is another's, or dearer to do.\n"
    yield from _row("permission", "what it lets do", "required by", *ROLES)
    yield from _row("---", "---", "---", *(":-:" for _ in ROLES))
    for permission in sorted(permissions(), key=lambda each: each.name):
        held = ("yes" if role in permission.roles else "" for role in ROLES)
        rule_text = ", ".join(methods.get(permission.name, ()))
        yield from _row(f"`{permission.name}`", permission.description, rule_text, *held)


def _row(*cells: str) -> Iterator[str]:
    yield f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    main()

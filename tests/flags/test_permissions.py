"""Which built-in roles hold the permissions of flags."""

import pytest

from server.flags.permissions import PERMISSIONS

EVALUATING = {"flags.evaluate", "flags.sync"}
KEEPING = {"flags.read", "flags.write", "flags.switch_off", "flags.approve"}


@pytest.mark.parametrize(
    ("role", "permissions"),
    [
        ("customer", set()),
        ("staff", set()),
        ("service", EVALUATING),
        ("manager", EVALUATING | KEEPING),
        ("admin", EVALUATING | KEEPING),
    ],
)
def test_each_role_holds_what_it_needs_of_flags(role: str, permissions: set[str]) -> None:
    """Services evaluate, managers keep flags as well, and customers and staff have nothing to do with them."""
    assert {each.name for each in PERMISSIONS if role in each.roles} == permissions

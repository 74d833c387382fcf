"""webhooks' permissions, and the built-in roles that hold each."""

from collections.abc import Sequence

from server.frame.permissions import Permission

MANAGE = "webhooks.manage"

PERMISSIONS: Sequence[Permission] = (
    Permission(
        MANAGE,
        "Makes, changes and tests the endpoints that are told of events, and sees what was delivered to them.",
        ("manager", "service", "admin"),
    ),
)

"""webhooks' permissions, and the built-in roles that grant each."""

from collections.abc import Sequence

from server.frame.permissions import Permission

MANAGE = "webhooks.manage"

PERMISSIONS: Sequence[Permission] = (
    Permission(
        MANAGE,
        "Makes, changes and tests the endpoints that events are sent to, and sees what was delivered to them.",
        ("manager", "service", "admin"),
    ),
)

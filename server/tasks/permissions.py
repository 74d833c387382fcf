"""tasks' permissions, and the built-in roles that grant each."""

from collections.abc import Sequence

from server.frame.permissions import Permission

_PROGRAMS = ("service", "admin")
_STAFF = ("staff", "manager", *_PROGRAMS)
_ALL = ("customer", *_STAFF)

PERMISSIONS: Sequence[Permission] = (
    Permission("tasks.read", "Reads and watches the projects that the account is a member of.", _ALL),
    Permission(
        "tasks.write",
        "Changes what is in the projects that the account is a member of, as far as its role there allows.",
        _ALL,
    ),
    Permission("tasks.create_projects", "Creates projects.", _STAFF),
    Permission("tasks.receive_events", "Receives the events of all projects, also of others', by webhooks.", _PROGRAMS),
)

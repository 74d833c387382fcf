"""The permissions of flags, and the built-in roles that hold each."""

from collections.abc import Sequence

from server.frame.permissions import Permission

_CALLERS = ("manager", "service", "admin")
_KEEPERS = ("manager", "admin")

PERMISSIONS: Sequence[Permission] = (
    Permission("flags.evaluate", "Evaluates flags, one or all of a flag set.", _CALLERS),
    Permission(
        "flags.sync", "Reads the configuration of a flag set whole, to evaluate it in the caller's process.", _CALLERS
    ),
    Permission("flags.read", "Reads flags, segments, their versions and how often they were served.", _KEEPERS),
    Permission("flags.write", "Makes, changes, archives and imports flags and segments, or proposes that.", _KEEPERS),
    Permission("flags.switch_off", "Switches a flag off at once.", _KEEPERS),
    Permission("flags.approve", "Approves or rejects what another account proposed.", _KEEPERS),
)

"""events' permissions, and the built-in roles that grant each."""

from collections.abc import Sequence

from server.frame.permissions import Permission

_PROGRAMS = ("service", "admin")
_KEEPERS = ("manager", *_PROGRAMS)
_STAFF = ("staff", *_KEEPERS)

PERMISSIONS: Sequence[Permission] = (
    Permission("events.ingest", "Sends events to be stored.", _PROGRAMS),
    Permission(
        "events.read",
        "Reads and watches all events, those that were refused included, and lists the people of a funnel.",
        _STAFF,
    ),
    Permission("events.query", "Counts events, and makes links to charts of them.", _STAFF),
    Permission("events.manage_meters", "Makes, changes and deletes meters.", _KEEPERS),
    Permission(
        "events.manage_types", "Declares types of events with their schemas, and retries refused events.", _KEEPERS
    ),
    Permission("events.delete_subjects", "Deletes all events of a person or another subject.", _KEEPERS),
)

"""What an endpoint may be told: what those may read whose permissions decide it."""

from collections.abc import Collection, Iterable, Mapping

from server.frame.caller import Caller
from server.frame.errors import PermissionMissing
from server.frame.events import EventType
from server.webhooks.permissions import MANAGE

UNKNOWN = "withheld: nobody's permissions decide what this endpoint is told; change it to decide by yours"
NOT_ADMITTED = "withheld: the account whose permissions decide what this endpoint is told is disabled or gone"
_LACKING = "withheld: the account whose permissions decide what this endpoint is told lacks {permission}"


def needed(event_type: str, known: Mapping[str, EventType]) -> tuple[str, ...]:
    """The permissions that it takes to be told of an event; of a type that is not known here, to manage webhooks."""
    return known[event_type].permissions if event_type in known else (MANAGE,)


def may_read(permissions: Collection[str], event_type: str, known: Mapping[str, EventType]) -> bool:
    return all(each in permissions for each in needed(event_type, known))


def check_readable(caller: Caller, wanted: Iterable[str], known: Mapping[str, EventType]) -> None:
    """Raises PermissionMissing where the caller may not read what one of these types is about."""
    for event_type in wanted:
        for permission in needed(event_type, known):
            if not caller.may(permission):
                raise PermissionMissing(permission=permission)


def why_withheld(permissions: Collection[str] | None, event_type: str, known: Mapping[str, EventType]) -> str:
    """Why an event is not told to whom these permissions stand for, None where they are let in no more; or empty."""
    if permissions is None:
        return NOT_ADMITTED
    migration_problem = [each for each in needed(event_type, known) if each not in permissions]
    return _LACKING.format(permission=migration_problem[0]) if migration_problem else ""

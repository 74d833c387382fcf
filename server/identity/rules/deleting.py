"""What others learn of a deleted account."""

import json
from collections.abc import Mapping
from datetime import datetime
from uuid import UUID

from server.frame.events import EventType
from storage.frame.records import Event

DELETED = "account.deleted"
EVENT_TYPES: Mapping[str, EventType] = {
    DELETED: EventType(
        "An account was deleted, and all that names the person is erased: erase what you keep of it, too.",
        ("users.list",),
    ),
}


def deleted_event(account_id: UUID, now: datetime) -> Event:
    data = {"account_id": str(account_id), "complete_time": now.isoformat()}
    return Event(DELETED, account_id, json.dumps(data), now)

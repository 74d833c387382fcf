from collections.abc import Sequence
from datetime import datetime

from storage.base import Repository, insert_json, json_parameter, values_getter
from storage.frame.records import Event
from storage.frame.tables import events

_EVENT = ("type", "subject_id", "data", "create_time")
_VALUES = values_getter(_EVENT)
_PUBLISH = insert_json(events, *_EVENT)


class EventRepository(Repository):
    """The log of what happened, which watchers and webhooks are told from."""

    async def publish(self, new: Sequence[Event]) -> None:
        """Writes events into the log, in their order; others are told once this transaction has committed."""
        if not new:
            return
        await self._connection.execute(_PUBLISH, json_parameter(_EVENT, map(_VALUES, new)))

    async def purge(self, before: datetime, limit: int) -> int:
        """Forgets up to so many events from before a time, and returns how many that were."""
        return await self._delete_before(events.c.create_time, before, limit)

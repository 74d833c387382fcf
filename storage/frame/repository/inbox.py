from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import select, update

from storage.base import Reader, Repository, insert_json, json_parameter, values_getter
from storage.frame.records import EventKey, ReceivedEvent
from storage.frame.tables import inbox

_COLUMNS = ("source", "event_id", "body", "receive_time")
_VALUES = values_getter(_COLUMNS)
_ADD = insert_json(inbox, *_COLUMNS).on_conflict_do_nothing().returning(inbox.c.source, inbox.c.event_id)


class InboxReader(Reader):
    """The inbox of events that other systems sent, each as it came."""

    async def find(self, source: str, event_id: str) -> bytes | None:
        """The body as it came; None where there is no such event, or it has taken effect."""
        mine = (inbox.c.source == source) & (inbox.c.event_id == event_id) & inbox.c.process_time.is_(None)
        statement = select(inbox.c.body).where(mine)
        body: bytes | None = (await self._connection.execute(statement)).scalar()
        return body


class InboxRepository(InboxReader, Repository):
    """The inbox of events that other systems sent: each event of a source once, and its one effect.

    Adding an event that another transaction is adding waits for its end: if that commits, the event is not new.
    Events are added in key order, so that two batches never wait for one another.
    """

    async def add(self, batch: Sequence[ReceivedEvent]) -> set[EventKey]:
        """Keeps what is new, and returns which events that were; of several with one key, the first is kept."""
        first: dict[EventKey, ReceivedEvent] = {}
        for each in batch:
            first.setdefault(each.key, each)
        ordered = (first[key] for key in sorted(first))
        found = await self._connection.execute(_ADD, json_parameter(_COLUMNS, map(_VALUES, ordered)))
        return {(row.source, row.event_id) for row in found}

    async def finish(self, source: str, event_id: str, now: datetime) -> bool:
        """Marks an event as processed, and says whether it was this call that did; its body is not kept any longer.

        It may hold the name and the address of a payer, and nothing reads it again.
        Another transaction that is doing so is waited for: if that commits, it was not this one.
        """
        mine = (inbox.c.source == source) & (inbox.c.event_id == event_id) & inbox.c.process_time.is_(None)
        result = await self._connection.execute(update(inbox).where(mine).values(process_time=now, body=b""))
        return result.rowcount > 0

    async def purge(self, before: datetime, limit: int) -> int:
        """Forgets up to so many events that were processed and came before a time, and returns how many that were."""
        return await self._delete_before(inbox.c.receive_time, before, limit, inbox.c.process_time.is_not(None))

"""The events of a person: those whose subject is the account's id."""

from collections.abc import AsyncIterator, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from server.events.service.deleting import Deleting
from server.frame.personal_data import DeclaredPersonalData, Erasure, ExportedPage
from storage.events.personal_data import PERSONAL_DATA
from storage.events.records import Event, RefusedEvent, RefusedEventFilter
from storage.events.store import EventsStore

_PAGE_ROWS = 500


class PersonsEvents(DeclaredPersonalData):
    """Exports and deletes the events of which an account is the subject; nobody is handed them over."""

    def __init__(self, store: EventsStore, deleting: Deleting) -> None:
        super().__init__(store, PERSONAL_DATA)
        self._events = store
        self._deleting = deleting

    async def export(self, account_id: UUID) -> AsyncIterator[ExportedPage]:
        after: tuple[datetime, int] | None = None
        more = True
        while more:
            async with self._events.reading() as reading:
                events = await reading.stored_events.list_of_subject(str(account_id), after=after, limit=_PAGE_ROWS)
            yield ExportedPage("event", [_event(each) for each in events])
            more = len(events) == _PAGE_ROWS
            after = (events[-1].time, events[-1].sequence) if more else None
        wanted, before = RefusedEventFilter(subject=str(account_id)), None
        more = True
        while more:
            async with self._events.reading() as reading:
                refused = await reading.refused_events.list_latest(wanted, before=before, limit=_PAGE_ROWS)
            yield ExportedPage("refused_event", [_refused_event(each) for each in refused])
            more = len(refused) == _PAGE_ROWS
            before = (refused[-1].create_time, refused[-1].id) if more else None

    async def erase(self, erasure: Erasure) -> None:
        await self._deleting.erase(str(erasure.account_id))


def _event(event: Event) -> Mapping[str, Any]:
    names = ("id", "source", "type", "time", "data", "receive_time")
    return {**{name: getattr(event, name) for name in names}, "attributes": dict(event.attributes)}


def _refused_event(refused: RefusedEvent) -> Mapping[str, Any]:
    sent = {**refused.event._asdict(), "attributes": dict(refused.event.attributes)}
    return {
        "id": refused.id,
        "event": sent,
        "reason": refused.reason,
        "message": refused.message,
        "create_time": refused.create_time,
    }

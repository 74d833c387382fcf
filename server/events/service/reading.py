from collections.abc import Callable, Sequence
from datetime import datetime

from server.events.service.slow_readings import SlowReadings
from server.frame.change_log import ChangeLog
from server.frame.resuming import Position
from server.frame.watching import Feed, WatchMessages
from storage.events.records import Event, EventFilter
from storage.events.store import EventsReading, EventsStore

EVERYBODY = EventFilter()


class EventChanges(ChangeLog[EventsReading, Event, EventFilter]):
    """The log of what was stored."""

    def __init__(self) -> None:
        super().__init__(lambda reading: reading.event_changes, EVERYBODY, concerns)


def concerns(event: Event, wanted: EventFilter) -> bool:
    """Whether a filter leaves an event."""
    return (
        (not wanted.types or event.type in wanted.types)
        and wanted.source in (None, event.source)
        and wanted.subject in (None, event.subject)
    )


class Events:
    """Stored events as they are listed and watched."""

    def __init__(self, store: EventsStore, readings: SlowReadings, now: Callable[[], datetime]) -> None:
        self._readings = readings
        self.feed = Feed(store, EventChanges(), now)

    async def list_latest(
        self,
        wanted: EventFilter,
        period: tuple[datetime | None, datetime | None],
        *,
        before: tuple[datetime, int] | None,
        limit: int,
    ) -> Sequence[Event]:
        """Those that happened last first."""
        start, end = period
        async with self._readings.reading() as reading:
            return await reading.stored_events.list_latest(wanted, start=start, end=end, before=before, limit=limit)

    def watch(self, wanted: EventFilter, resumed: Position | None) -> WatchMessages[Event]:
        """Those that are stored from a position on; raises ResumeTokenExpired."""
        return self.feed.watch(resumed, wanted)

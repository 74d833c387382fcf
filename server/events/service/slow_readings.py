import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from storage.events.store import EventsReading, EventsStore

AT_ONCE = 4
"""Of a process, which has ten connections for all calls to all of its modules."""


class SlowReadings:
    """Readings of events that may take seconds, few of them at the same time: each takes a connection meanwhile.

    Whoever finds no place waits for one, for as long as the call may last.
    """

    def __init__(self, store: EventsStore) -> None:
        self._store = store
        self._places = asyncio.Semaphore(AT_ONCE)

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[EventsReading]:
        async with self._places, self._store.reading() as reading:
            yield reading

    @asynccontextmanager
    async def snapshot_reading(self) -> AsyncIterator[EventsReading]:
        async with self._places, self._store.snapshot_reading() as reading:
            yield reading

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import TypeVar

from server.events.errors import EventTypeExists, EventTypeNotFound, TooManyEventTypes
from server.events.rules.schemas import Schema
from server.events.service.declared import DeclaredTypes
from server.frame.answers import DONE, AnswerKind
from server.frame.editing import Edit, changed, check_etag
from server.frame.repeating import once
from storage.events.records import EventType, SchemaMode
from storage.events.repository import EVENT_TYPES
from storage.events.store import EventsConfigurationStore, EventsConfigurationTransaction
from storage.frame.records import ChangeContext

MAX_EVENT_TYPES = 1_000
"""Each process has all of them in memory, with their schemas."""

Answer = TypeVar("Answer")

EVENT_TYPE = AnswerKind("events.event_type", EventType)


class EventTypes:
    """Types of events, as they are declared."""

    def __init__(self, store: EventsConfigurationStore, declared: DeclaredTypes, now: Callable[[], datetime]) -> None:
        self._store = store
        self._declared = declared
        self._now = now

    async def create(
        self, name: str, description: str, schema: str, mode: SchemaMode, context: ChangeContext
    ) -> EventType:
        """Raises SchemaInvalid, EventTypeExists, TooManyEventTypes."""
        check_schema(schema)

        async def act(tx: EventsConfigurationTransaction) -> EventType:
            await tx.configuration.advance(EVENT_TYPES)  # first of all: only one declares at a time
            if await tx.event_types.find(name) is not None:
                raise EventTypeExists
            if await tx.event_types.count() >= MAX_EVENT_TYPES:
                raise TooManyEventTypes(limit=f"{MAX_EVENT_TYPES:,}")
            now = self._now()
            event_type = EventType(name, description, schema, mode, 1, now, now)
            await tx.event_types.add(event_type)
            return event_type

        return await self._changed(lambda: once(self._store, context, EVENT_TYPE, act, f"event_type/{name}"))

    async def edit(self, edit: Edit[str], context: ChangeContext) -> EventType:
        """Raises SchemaInvalid, EventTypeNotFound, EtagMismatch."""
        check_schema(edit.values.get("schema", ""))

        async def act(tx: EventsConfigurationTransaction) -> EventType:
            before = await _lock(tx, edit.key)
            check_etag(before, edit)
            after = changed(before, edit.values, self._now())
            if after != before:
                await tx.event_types.change(after)
                await tx.configuration.advance(EVENT_TYPES)
            return after

        return await self._changed(lambda: once(self._store, context, EVENT_TYPE, act, f"event_type/{edit.key}"))

    async def delete(self, name: str, etag: str, context: ChangeContext) -> None:
        """Raises EventTypeNotFound, EtagMismatch."""

        async def act(tx: EventsConfigurationTransaction) -> None:
            check_etag(await _lock(tx, name), Edit(name, etag, {}))
            await tx.event_types.delete(name)
            await tx.configuration.advance(EVENT_TYPES)

        await self._changed(lambda: once(self._store, context, DONE, act, f"event_type/{name}"))

    async def get(self, name: str) -> EventType:
        """Raises EventTypeNotFound."""
        async with self._store.reading() as reading:
            found = await reading.event_types.find(name)
        if found is None:
            raise EventTypeNotFound
        return found

    async def list_by_type(self, *, after: str | None, limit: int) -> Sequence[EventType]:
        """By name, in ASCII order."""
        async with self._store.reading() as reading:
            return await reading.event_types.list_by_type(after=after, limit=limit)

    async def _changed(self, change: Callable[[], Awaitable[Answer]]) -> Answer:
        """Makes a change, which this server's own judging sees with the next event."""
        answer = await change()
        self._declared.forget()
        return answer


def check_schema(schema: str) -> None:
    """Raises SchemaInvalid where a schema cannot be used."""
    if schema:
        Schema(schema)


async def _lock(tx: EventsConfigurationTransaction, name: str) -> EventType:
    found = await tx.event_types.lock(name)
    if found is None:
        raise EventTypeNotFound
    return found

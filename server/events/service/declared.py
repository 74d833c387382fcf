"""The declared types as events are judged by them, in memory."""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

from server.events.rules.judging import CompiledType, Judge, Period
from server.events.rules.schemas import declared_schema
from storage.events.repository import EVENT_TYPES
from storage.events.store import EventsConfigurationStore

FRESH_SECONDS = 1.0
"""For how long what was read counts without being asked for again."""


class DeclaredTypes:
    """The declared types, compiled: read again, once a second, if any of them has changed."""

    def __init__(
        self,
        store: EventsConfigurationStore,
        now: Callable[[], datetime],
        *,
        retention_days: int,
        ahead: timedelta,
        declared_only: bool,
    ) -> None:
        self._store = store
        self._now = now
        self._retention_days = retention_days
        self._ahead = ahead
        self._declared_only = declared_only
        self._types: Mapping[str, CompiledType] = {}
        self._version: int | None = None
        self._asked: datetime | None = None

    async def judge(self) -> Judge:
        """By what events are judged now."""
        now = self._now()
        if self._asked is None or now - self._asked >= timedelta(seconds=FRESH_SECONDS):
            await self._refresh()
            self._asked = now
        period = Period.at(now, retention_days=self._retention_days, ahead=self._ahead)
        return Judge(period, self._types, self._declared_only)

    def forget(self) -> None:
        """Has them asked for again: one was changed just now."""
        self._asked = None

    async def _refresh(self) -> None:
        async with self._store.reading() as reading:
            version = await reading.configuration.version(EVENT_TYPES)
        if version == self._version:
            return
        async with self._store.snapshot_reading() as reading:
            version = await reading.configuration.version(EVENT_TYPES)
            found = await reading.event_types.list_all()
        self._types = {each.type: CompiledType(declared_schema(each.schema), each.mode) for each in found}
        self._version = version

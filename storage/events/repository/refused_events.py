from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import ColumnElement, delete, select, true

from storage.base import AnyRow, Reader, Records, Repository, column_names, insert_json, json_parameter, latest
from storage.events.records import RefusalReason, RefusedEvent, RefusedEventFilter, SentEvent
from storage.events.tables import refused_events

MAX_TEXT = 200
"""In characters: as much of a source, a type or a subject is stored to be searched by."""

_COLUMNS = column_names(refused_events)
_RENEWED = ("reason", "message", "account_id", "update_time")
_KEEP = insert_json(refused_events, *_COLUMNS)
_KEEP = _KEEP.on_conflict_do_update(
    index_elements=[refused_events.c.id],
    set_={"attempts": refused_events.c.attempts + 1, **{name: _KEEP.excluded[name] for name in _RENEWED}},
)


class RefusedEventReader(Reader):
    """The events that were not stored, with the reasons."""

    async def list_latest(
        self, wanted: RefusedEventFilter, *, before: tuple[datetime, UUID] | None, limit: int
    ) -> Sequence[RefusedEvent]:
        """The one that was first refused last first."""
        statement = select(refused_events).where(_matches(wanted))
        statement = latest(statement, refused_events, before=before, limit=limit)
        return _REFUSED.all(await self._connection.execute(statement), event=_event)


class RefusedEventRepository(RefusedEventReader, Repository):
    """The events that were not stored, with the reasons."""

    async def keep(self, refused: Collection[RefusedEvent]) -> None:
        """Keeps what was refused; what was refused before counts one attempt more, with the newer reason."""
        if not refused:
            return
        rows = sorted({each.id: each for each in refused}.values(), key=lambda each: each.id)
        await self._connection.execute(_KEEP, json_parameter(_COLUMNS, map(_row, rows)))

    async def forget(self, ids: Collection[UUID]) -> int:
        """Deletes what is refused no longer; how many there were."""
        return (await self._connection.execute(delete(refused_events).where(refused_events.c.id.in_(ids)))).rowcount

    async def delete_subject(self, subject: str, limit: int) -> int:
        """Deletes up to so many of a subject's; how many those were."""
        mine = (refused_events.c.subject == subject) & (refused_events.c.subject != "")
        some = select(refused_events.c.id).where(mine).limit(limit)
        return (await self._connection.execute(delete(refused_events).where(refused_events.c.id.in_(some)))).rowcount

    async def purge(self, before: datetime, limit: int) -> int:
        """Deletes up to so many that were refused last before a time; how many those were."""
        return await self._delete_before(refused_events.c.update_time, before, limit)


_REFUSED = Records(RefusedEvent, reason=RefusalReason)


def _matches(wanted: RefusedEventFilter) -> ColumnElement[bool]:
    found: ColumnElement[bool] = true()
    if wanted.type is not None:
        found &= refused_events.c.type == wanted.type
    if wanted.source is not None:
        found &= refused_events.c.source == wanted.source
    if wanted.subject is not None:  # twice, for the index, which has none that are empty
        found &= (refused_events.c.subject == wanted.subject) & (refused_events.c.subject != "")
    if wanted.reason is not None:
        found &= refused_events.c.reason == wanted.reason
    if wanted.ids is not None:
        found &= refused_events.c.id.in_(wanted.ids)
    if wanted.complete:
        found &= ~refused_events.c.truncated
    return found


def _row(refused: RefusedEvent) -> Sequence[Any]:
    event = refused.event
    return (
        refused.id,
        *(_stored(text) for text in (event.source, event.type, event.subject)),
        orjson.dumps({**event._asdict(), "attributes": dict(event.attributes)}).decode(),
        refused.reason,
        refused.message,
        refused.attempts,
        refused.truncated,
        refused.account_id,
        refused.create_time,
        refused.update_time,
    )


def _stored(text: str) -> str:
    return text.replace("\0", "")[:MAX_TEXT]


def _event(row: AnyRow) -> SentEvent:
    return SentEvent(**orjson.loads(row.event))

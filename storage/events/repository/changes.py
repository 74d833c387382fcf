from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import accumulate

from sqlalchemy import Select, func, select, true
from sqlalchemy.ext.asyncio import AsyncConnection

from storage.errors import TimelineChanged
from storage.events.records import Event, EventFilter
from storage.events.repository.events import COLUMNS, events_of, matches
from storage.events.repository.ingest import MAX_BATCH
from storage.events.tables import batches, events
from storage.frame.records import ChangePage, LogRange, News
from storage.log import TIMELINE, LogReader

_LAST_PLACE = MAX_BATCH - 1


@dataclass(frozen=True, slots=True)
class _Batches:
    """Some batches that follow one another in a range of the log."""

    sequences: Sequence[int]
    first_time: datetime
    last_time: datetime
    further: bool
    """Whether the range has more."""


class EventChangeReader(LogReader):
    """What was stored, by the log of batches: a change is an event, and its sequence is the event's."""

    def __init__(self, connection: AsyncConnection) -> None:
        super().__init__(connection, batches)

    async def find_news(self, since: str) -> News:
        news = await super().find_news(since)
        return news if news.first is None else replace(news, first=news.first * MAX_BATCH)

    async def list_changes(self, log_range: LogRange, limit: int, audience: EventFilter) -> ChangePage[Event]:
        """The changes among the first `limit` of a range that an audience gets."""
        found = await self._batches(log_range, limit)
        if found is None:
            return ChangePage((), None)
        statement = _page(found, log_range.after, limit, audience)
        rows = (await self._connection.execute(statement)).all()
        size, end = rows[0].page_size, rows[0].page_end
        last = end if size == limit else found.sequences[-1] * MAX_BATCH + _LAST_PLACE if found.further else None
        return ChangePage(events_of(row for row in rows if row.sequence is not None), last)

    async def _batches(self, log_range: LogRange, limit: int) -> _Batches | None:
        """Those that have the next `limit` events; raises TimelineChanged where the range is of another timeline."""
        after = (log_range.after + 1) // MAX_BATCH - 1  # the batch before the one that has the next event
        if not log_range.after:
            news = await super().find_news(log_range.since)
            if news.timeline != log_range.timeline:
                raise TimelineChanged
            if news.first is None:
                return None
            after = news.first - 1
        columns = ("sequence", "event_count", "first_time", "last_time")
        page = self._page(log_range, after, limit + 1, columns)
        statement = select(TIMELINE.label("timeline"), page).join_from(
            select(TIMELINE.label("timeline")).subquery("one"), page, true(), isouter=True
        )
        rows = (await self._connection.execute(statement.order_by(page.c.sequence))).all()
        if rows[0].timeline != log_range.timeline:
            raise TimelineChanged
        found = [row for row in rows if row.sequence is not None]
        if not found:
            return None
        # Of the first, all may be sent but one event, and so it counts for nothing.
        before = (0, *accumulate((row.event_count for row in found[1:]), initial=0))
        some = [row for row, count in zip(found, before, strict=False) if count < limit][:limit]
        return _Batches(
            [row.sequence for row in some],
            min(row.first_time for row in some),
            max(row.last_time for row in some),
            further=len(some) < len(found),
        )


def _page(found: _Batches, after: int, limit: int, audience: EventFilter) -> Select[tuple[object, ...]]:
    first, last = found.sequences[0], found.sequences[-1]
    page = (
        select(*COLUMNS)
        .where(
            events.c.time.between(found.first_time, found.last_time),
            events.c.sequence.between(first * MAX_BATCH, last * MAX_BATCH + _LAST_PLACE),
            events.c.sequence > after,
            func.div(events.c.sequence, MAX_BATCH).in_(found.sequences),
        )
        .order_by(events.c.sequence)
        .limit(limit)
        .cte("events")
    )
    count = select(func.count().label("page_size"), func.max(page.c.sequence).label("page_end")).subquery()
    wanted = select(page).where(matches(audience, page.c)).subquery()
    return select(count, wanted).join_from(count, wanted, true(), isouter=True).order_by(wanted.c.sequence)

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Select, select, tuple_
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.elements import ClauseElement
from sqlalchemy.sql.expression import Executable

from storage.base import Reader
from storage.events.records import Event, EventFilter
from storage.events.repository.events import COLUMNS, events_of, matches
from storage.events.tables import events

Period = tuple[datetime | None, datetime | None]
"""From one time on and before another; None means no bound."""


class ExportReader(Reader):
    """Stored events in the order in which they happened."""

    async def list_earliest(
        self, wanted: EventFilter, period: Period, *, after: tuple[datetime, int] | None, limit: int
    ) -> Sequence[Event]:
        """Those of a period that happened first first, behind a key of (time, sequence)."""
        statement = _chosen(wanted, period)
        if after is not None:  # the time by itself, too: that leaves out partitions
            key = tuple_(events.c.time, events.c.sequence)
            statement = statement.where(events.c.time >= after[0], key > after)
        statement = statement.order_by(events.c.time, events.c.sequence).limit(limit)
        return events_of(await self._connection.execute(statement))

    async def estimate(self, wanted: EventFilter, period: Period) -> int:
        """About how many there are, as the planner has it: none of them is read."""
        found = (await self._connection.execute(_Explained(_chosen(wanted, period)))).scalar_one()
        return int((json.loads(found) if isinstance(found, str) else found)[0]["Plan"]["Plan Rows"])


def _chosen(wanted: EventFilter, period: Period) -> Select[Any]:
    start, end = period
    statement = select(*COLUMNS).where(matches(wanted))
    if start is not None:
        statement = statement.where(events.c.time >= start)
    return statement if end is None else statement.where(events.c.time < end)


class _Explained(Executable, ClauseElement):
    """What the planner says of a statement."""

    inherit_cache = False

    def __init__(self, statement: Select[Any]) -> None:
        self.statement = statement


@compiles(_Explained)
def _explain(element: _Explained, compiler: Any, **options: Any) -> str:
    return f"EXPLAIN (FORMAT JSON) {compiler.process(element.statement, **options)}"

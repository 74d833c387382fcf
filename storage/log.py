"""Reading a log without skipping what commits late, for a row with a higher sequence may commit first.

A snapshot is PostgreSQL's pg_snapshot as text: which transactions had committed at a moment. A row of a log knows the
transaction that wrote it, and is new since a snapshot where that transaction had not committed then. The later of two
changes of one thing has the higher sequence, and is in no snapshot without the earlier one.

PostgreSQL hands a transaction's id out again where nothing of it was on the disk when it crashed, or where nothing of
it had reached the standby that was promoted. So the snapshots that are given here end with the last transaction whose
rows the log shows, which was on the disk before anybody could see them; and they hold good on one timeline alone.
See docs/decisions/0026.
"""

from collections.abc import Callable, Iterable, Sequence
from functools import cache
from typing import Any

from sqlalchemy import (
    CTE,
    BigInteger,
    ColumnElement,
    Row,
    Select,
    Table,
    Text,
    any_,
    cast,
    func,
    literal,
    or_,
    select,
    true,
)
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.types import UserDefinedType

from storage.base import Reader
from storage.errors import TimelineChanged
from storage.frame.records import LogEnd, LogRange, News
from storage.snapshots import Snapshot
from storage.timelines import TIMELINE


class SnapshotText(UserDefinedType[str]):
    """PostgreSQL's pg_snapshot, as what a text stands for."""

    cache_ok = True

    def get_col_spec(self, **_: Any) -> str:
        return "pg_snapshot"


class LogReader(Reader):
    """A log: a table with a sequence and a transaction_id, or those of its rows that fulfill a condition."""

    def __init__(self, connection: AsyncConnection, log: Table, condition: ColumnElement[bool] | None = None) -> None:
        super().__init__(connection)
        self._log = log
        self._condition = true() if condition is None else condition

    async def find_end(self) -> LogEnd:
        """Where the log ends by now."""
        timeline, visible, last = (await self._connection.execute(select(*_end(self._log)))).one()
        return LogEnd(timeline, _snapshot(visible, last or 0), visible)

    async def find_news(self, since: str) -> News:
        """Whether there is something new since a snapshot that was given before, and where the log ends by now."""
        sequence = self._log.c.sequence + 0  # for min(sequence) alone the whole log is read through in its order
        statement = select(*_end(self._log), func.min(sequence)).where(self._condition, _new_since(self._log, since))
        timeline, visible, last, first = (await self._connection.execute(statement)).one()
        # Of a log that was purged since, the last row may be an earlier one than before.
        return News(timeline, _snapshot(visible, max(last or 0, _end_of(since) - 1)), visible, first)

    async def _read(
        self, log_range: LogRange, limit: int, columns: Iterable[str], told: Callable[[CTE], Select[Any]]
    ) -> tuple[Sequence[Row[Any]], int | None]:
        """What is to be told of the first `limit` rows of a stretch, and behind which row to go on, if any is left.

        Raises TimelineChanged where the stretch is of another timeline.
        """
        after = log_range.after
        if not after:
            news = await self.find_news(log_range.since)
            if news.timeline != log_range.timeline:
                raise TimelineChanged
            if news.first is None:
                return (), None
            after = news.first - 1
        page = self._page(log_range, after, limit, columns)
        count = select(func.count().label("page_size"), func.max(page.c.sequence).label("page_end")).subquery()
        rows = told(page).subquery()
        statement = select(count, TIMELINE.label("timeline"), rows).join_from(count, rows, true(), isouter=True)
        statement = statement.order_by(rows.c.sequence)
        found = (await self._connection.execute(statement)).all()
        if found[0].timeline != log_range.timeline:
            raise TimelineChanged
        last = found[0].page_end if found[0].page_size == limit else None
        return [row for row in found if row.sequence is not None], last

    def _page(self, log_range: LogRange, after: int, limit: int, columns: Iterable[str]) -> CTE:
        log = self._log
        statement = select(*(log.c[name] for name in columns))
        statement = statement.where(self._condition, _new_between(log, log_range), log.c.sequence > after)
        return statement.order_by(log.c.sequence).limit(limit).cte()


@cache
def _end(log: Table) -> tuple[ColumnElement[str], ColumnElement[str], ColumnElement[int]]:
    """The timeline, what the statement itself can see, and the last transaction of the log that it sees."""
    mine, visible = log.c.transaction_id, func.pg_current_snapshot()
    # In a database that was restored from a dump, there may be ids that it has not come to yet.
    last = select(func.max(mine)).where(mine < func.pg_snapshot_xmax(visible)).scalar_subquery()
    return TIMELINE, cast(visible, Text), cast(cast(last, Text), BigInteger)


def _new_since(log: Table, since: str) -> ColumnElement[bool]:
    """Finds them by the index over the transactions, and no others, however long ago one under way began."""
    under_way = select(func.pg_snapshot_xip(_given(since))).scalar_subquery()
    mine = log.c.transaction_id
    return or_(mine >= func.pg_snapshot_xmax(_given(since)), mine == any_(func.array(under_way)))


def _new_between(log: Table, log_range: LogRange) -> ColumnElement[bool]:
    """Leaves only the order of the sequence to read by, so that a page costs the same however many follow it."""
    known = func.pg_visible_in_snapshot(log.c.transaction_id, _given(log_range.since))
    return ~known & func.pg_visible_in_snapshot(log.c.transaction_id, _given(log_range.until))


def _snapshot(visible: str, last: int) -> str:
    return str(Snapshot.of(visible).up_to(last))


def _end_of(snapshot: str) -> int:
    """The first transaction that had not begun."""
    return int(snapshot.split(":")[1])


def _given(snapshot: str) -> ColumnElement[str]:
    return cast(literal(snapshot, Text), SnapshotText())

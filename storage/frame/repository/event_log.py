from collections.abc import Collection, Sequence

from sqlalchemy import BigInteger, ColumnElement, Text, cast, func, literal, select
from sqlalchemy.ext.asyncio import AsyncConnection

from storage.base import Records
from storage.frame.records import LoggedEvent
from storage.frame.tables import events
from storage.log import LogReader, SnapshotText

_EVENTS = Records(LoggedEvent)
_COLUMNS = (events.c.sequence, events.c.type, events.c.subject_id, events.c.data, events.c.create_time)


class EventLogReader(LogReader):
    """The log of events, read page by page from a position: a snapshot, as `storage.log` has it.

    Whoever stores the position that it came to in the transaction of its effect leaves out no event, and takes none
    twice.
    """

    def __init__(self, connection: AsyncConnection) -> None:
        super().__init__(connection, events)

    async def is_past(self, position: str) -> bool:
        """Whether this database has come to a position.

        It has not where it was restored and counts its transactions from an earlier number: by the old count, the next
        events would seem to have been there for long.
        """
        past = func.pg_snapshot_xmax(_given(position)) <= func.pg_snapshot_xmax(func.pg_current_snapshot())
        return bool((await self._connection.execute(select(past))).scalar_one())

    async def cut(self, since: str, until: str, limit: int) -> str:
        """A position between two, with about so many events before it; the later one where there are not so many.

        A position exists only where all transactions below a number have ended, and those of the earlier position
        are among them. So a transaction's events are never parted, and one that is still under way ends the search.
        """
        number = cast(cast(events.c.transaction_id, Text), BigInteger)
        ended = events.c.transaction_id < func.pg_snapshot_xmin(_given(until))
        statement = select(number).where(_between(since, until), ended).order_by(events.c.transaction_id)
        last = (await self._connection.execute(statement.offset(limit - 1).limit(1))).scalar()
        if last is None:
            return until
        # The first number of an epoch is no transaction's, and no snapshot begins with it.
        following = max(last + 1 if (last + 1) % 2**32 else last + 2, _end(since))
        return f"{following}:{following}:" if following <= _begin(until) else until

    async def read(self, since: str, until: str, types: Collection[str] | None = None) -> Sequence[LoggedEvent]:
        """The events between two positions by their sequence: of these types, or of all but those that begin with an
        underscore, which modules tell each other."""
        wanted = ~events.c.type.startswith("_", autoescape=True) if types is None else events.c.type.in_(types)
        statement = select(*_COLUMNS).where(_between(since, until), wanted).order_by(events.c.sequence)
        return _EVENTS.all(await self._connection.execute(statement))


def _between(since: str, until: str) -> ColumnElement[bool]:
    mine = events.c.transaction_id
    recent = mine >= func.pg_snapshot_xmin(_given(since))  # the range that the index is searched for
    known = func.pg_visible_in_snapshot(mine, _given(since))
    return recent & ~known & func.pg_visible_in_snapshot(mine, _given(until))


def _given(snapshot: str) -> ColumnElement[str]:
    return cast(literal(snapshot, Text), SnapshotText())


def _begin(snapshot: str) -> int:
    """The first transaction that had not ended."""
    return int(snapshot.split(":")[0])


def _end(snapshot: str) -> int:
    """The first transaction that had not begun."""
    return int(snapshot.split(":")[1])

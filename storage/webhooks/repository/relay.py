from collections.abc import Sequence

from sqlalchemy import BigInteger, ColumnElement, Text, cast, func, literal, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from storage.base import Records, Repository
from storage.frame.tables import events
from storage.log import LogReader, SnapshotText
from storage.webhooks.records import LoggedEvent
from storage.webhooks.tables import relay

_RELAYING = 0x626B726D_00000003
"""The advisory lock of whoever relays the log."""

_EVENTS = Records(LoggedEvent)


class RelayReader(LogReader):
    """The log of events, and up to where it has become deliveries: a snapshot, as `storage.log` has it."""

    def __init__(self, connection: AsyncConnection) -> None:
        super().__init__(connection, events)

    async def position(self) -> str | None:
        """Up to where the log has become deliveries; None before the first time.

        None too where the database was restored and counts its transactions from an earlier number: by the old count,
        the next events would seem to have been there for long.
        """
        end = func.pg_snapshot_xmax(cast(relay.c.snapshot, SnapshotText))
        known = end <= func.pg_snapshot_xmax(func.pg_current_snapshot())
        return (await self._connection.execute(select(relay.c.snapshot).where(known))).scalar()

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

    async def read(self, since: str, until: str) -> Sequence[LoggedEvent]:
        """The events between two positions, by their sequence."""
        columns = (events.c.sequence, events.c.type, events.c.data, events.c.create_time)
        statement = select(*columns).where(_between(since, until)).order_by(events.c.sequence)
        return _EVENTS.all(await self._connection.execute(statement))


class RelayRepository(RelayReader, Repository):
    """The log of events, and up to where it has become deliveries: a snapshot, as `storage.log` has it."""

    async def try_lock(self) -> bool:
        """Whether this transaction, and no other until it ends, relays the log."""
        return bool((await self._connection.execute(select(func.pg_try_advisory_xact_lock(_RELAYING)))).scalar_one())

    async def move(self, position: str) -> None:
        """Keeps up to where the log has become deliveries."""
        statement = insert(relay).values(id=1, snapshot=position)
        moving = statement.on_conflict_do_update(index_elements=["id"], set_={"snapshot": position})
        await self._connection.execute(moving)


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

from collections.abc import Sequence
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, Text, cast, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.types import UserDefinedType

from storage.base import Repository
from storage.frame.tables import events
from storage.webhooks.records import LoggedEvent
from storage.webhooks.tables import relay

_RELAYING = 0x626B726D_00000003
"""The advisory lock of whoever relays the log."""


class _Snapshot(UserDefinedType[str]):
    """PostgreSQL's pg_snapshot: which transactions had ended at a moment."""

    cache_ok = True

    def get_col_spec(self, **_: Any) -> str:
        return "pg_snapshot"


class RelayRepository(Repository):
    """Up to where the log of events has become deliveries, and what came since.

    A position is a snapshot, so that an event whose transaction commits late is new once it has, whatever its
    sequence.
    """

    async def try_lock(self) -> bool:
        """Whether this transaction, and no other until it ends, relays the log."""
        return (await self._connection.execute(select(func.pg_try_advisory_xact_lock(_RELAYING)))).scalar_one()

    async def position(self) -> str | None:
        """None before the first time.

        None too where the database counts its transactions anew, as one does that was restored from a dump: compared
        with those of another count, they would seem to have been relayed long ago.
        """
        ahead = func.pg_snapshot_xmax(cast(relay.c.snapshot, _Snapshot)) > func.pg_snapshot_xmax(
            func.pg_current_snapshot()
        )
        return (await self._connection.execute(select(relay.c.snapshot).where(~ahead))).scalar()

    async def present(self) -> str:
        return (await self._connection.execute(select(cast(func.pg_current_snapshot(), Text)))).scalar_one()

    async def move(self, position: str) -> None:
        """Keeps a position."""
        statement = insert(relay).values(id=1, snapshot=position)
        await self._connection.execute(
            statement.on_conflict_do_update(index_elements=["id"], set_={"snapshot": position})
        )

    async def has_news(self, since: str, until: str) -> bool:
        statement = select(events.c.sequence).where(_between(since, until)).limit(1)
        return (await self._connection.execute(statement)).first() is not None

    async def cut(self, since: str, until: str, limit: int) -> str:
        """A position between two, up to which there are about so many events; the later one where there are fewer.

        It is one at which no transaction was under way, between those that both positions know to have ended: a
        transaction is before it or after it as a whole, and what is before `since` is before it too.
        """
        number = cast(cast(events.c.transaction_id, Text), BigInteger)
        settled = events.c.transaction_id < func.pg_snapshot_xmin(cast(until, _Snapshot))
        statement = select(number).where(_between(since, until), settled)
        last = (
            await self._connection.execute(statement.order_by(events.c.transaction_id).offset(limit - 1).limit(1))
        ).scalar()
        if last is None:
            return until
        next_one = max(last + 1, _end(since))
        return f"{next_one}:{next_one}:" if next_one <= _begin(until) else until

    async def read(self, since: str, until: str) -> Sequence[LoggedEvent]:
        """The events between two positions, by their sequence."""
        columns = (events.c.sequence, events.c.type, events.c.data, events.c.create_time)
        statement = select(*columns).where(_between(since, until)).order_by(events.c.sequence)
        return [LoggedEvent(*row) for row in await self._connection.execute(statement)]


def _between(since: str, until: str) -> ColumnElement[bool]:
    """Written by a transaction that had ended at the later of two moments, and not at the earlier one."""
    earlier, later = cast(since, _Snapshot), cast(until, _Snapshot)
    not_long_before = events.c.transaction_id >= func.pg_snapshot_xmin(earlier)  # what the index is asked for
    before = func.pg_visible_in_snapshot(events.c.transaction_id, earlier)
    return not_long_before & ~before & func.pg_visible_in_snapshot(events.c.transaction_id, later)


def _begin(snapshot: str) -> int:
    """The first transaction that had not ended."""
    return int(snapshot.split(":")[0])


def _end(snapshot: str) -> int:
    """The first transaction that had not begun."""
    return int(snapshot.split(":")[1])

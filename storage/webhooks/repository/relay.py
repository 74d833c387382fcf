from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert

from storage.base import Repository
from storage.frame.repository.event_log import EventLogReader
from storage.webhooks.tables import relay

_RELAYING = 0x626B726D_00000003
"""The advisory lock of whoever relays the log."""


class RelayReader(EventLogReader):
    """The log of events, and up to where it has become deliveries."""

    async def position(self) -> str | None:
        """Up to where the log has become deliveries; None before the first time, and where the database was restored
        to before that."""
        found: str | None = (await self._connection.execute(select(relay.c.snapshot))).scalar()
        return found if found is not None and await self.is_past(found) else None


class RelayRepository(RelayReader, Repository):
    """The log of events, and up to where it has become deliveries."""

    async def try_lock(self) -> bool:
        """Whether this transaction, and no other until it ends, relays the log."""
        return bool((await self._connection.execute(select(func.pg_try_advisory_xact_lock(_RELAYING)))).scalar_one())

    async def move(self, position: str) -> None:
        """Keeps up to where the log has become deliveries."""
        statement = insert(relay).values(id=1, snapshot=position)
        moving = statement.on_conflict_do_update(index_elements=["id"], set_={"snapshot": position})
        await self._connection.execute(moving)

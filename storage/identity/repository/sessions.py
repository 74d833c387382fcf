from datetime import datetime
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.dialects.postgresql import insert

from storage.base import Repository
from storage.identity.records import Session
from storage.identity.tables.sessions import sessions


class SessionRepository(Repository):
    """Sign-ins and how often each was refreshed."""

    async def add(self, session: Session) -> None:
        values = {name: getattr(session, name) for name in Session.__slots__}
        await self._connection.execute(insert(sessions).values(values))

    async def lock(self, session_id: UUID) -> Session | None:
        """The session, locked until the transaction ends."""
        statement = select(sessions).where(sessions.c.id == session_id).with_for_update()
        row = (await self._connection.execute(statement)).first()
        return Session(*row) if row else None

    async def refresh(self, session_id: UUID, generation: int, now: datetime) -> None:
        statement = update(sessions).where(sessions.c.id == session_id)
        await self._connection.execute(statement.values(generation=generation, refresh_time=now))

    async def end(self, session_id: UUID, now: datetime) -> None:
        """Ends a session; one that has ended keeps its time."""
        alive = (sessions.c.id == session_id) & sessions.c.end_time.is_(None)
        await self._connection.execute(update(sessions).where(alive).values(end_time=now))

    async def end_all(self, account_id: UUID, now: datetime) -> None:
        """Ends all sessions of an account."""
        alive = (sessions.c.account_id == account_id) & sessions.c.end_time.is_(None)
        await self._connection.execute(update(sessions).where(alive).values(end_time=now))

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import select, tuple_, update
from sqlalchemy.dialects.postgresql import insert

from storage.base import Reader, Records, Repository, column_names, row_maker
from storage.identity.records import Session
from storage.identity.tables.sessions import sessions

_SESSIONS = Records(Session)
_NEW = row_maker(column_names(sessions))


class SessionReader(Reader):
    """Sign-ins, as they stand."""

    async def find(self, session_id: UUID) -> Session | None:
        return _SESSIONS.first(await self._connection.execute(select(sessions).where(sessions.c.id == session_id)))

    async def list_live(
        self, account_id: UUID, now: datetime, *, before: tuple[datetime, UUID] | None, limit: int
    ) -> Sequence[Session]:
        """An account's sessions that have not ended, from the latest on, starting before a key of (create_time, id)."""
        live = (sessions.c.account_id == account_id) & sessions.c.end_time.is_(None) & (sessions.c.expire_time > now)
        statement = select(sessions).where(live)
        if before is not None:
            statement = statement.where(tuple_(sessions.c.create_time, sessions.c.id) < before)
        statement = statement.order_by(sessions.c.create_time.desc(), sessions.c.id.desc()).limit(limit)
        return _SESSIONS.all(await self._connection.execute(statement))


class SessionRepository(SessionReader, Repository):
    """Sign-ins and how often each was refreshed."""

    async def add(self, session: Session) -> None:
        await self._connection.execute(insert(sessions).values(_NEW(session)))

    async def lock(self, session_id: UUID) -> Session | None:
        """The session, locked until the transaction ends."""
        statement = select(sessions).where(sessions.c.id == session_id).with_for_update()
        return _SESSIONS.first(await self._connection.execute(statement))

    async def refresh(self, session_id: UUID, generation: int, now: datetime) -> None:
        statement = update(sessions).where(sessions.c.id == session_id)
        await self._connection.execute(statement.values(generation=generation, refresh_time=now))

    async def end(self, session_id: UUID, now: datetime) -> UUID | None:
        """Ends a session, and returns whose it was; one that has ended keeps its time."""
        alive = (sessions.c.id == session_id) & sessions.c.end_time.is_(None)
        statement = update(sessions).where(alive).values(end_time=now).returning(sessions.c.account_id)
        ended: UUID | None = (await self._connection.execute(statement)).scalar()
        return ended

    async def end_all(self, account_id: UUID, now: datetime, *, but: UUID | None = None) -> int:
        """Ends all sessions of an account, or all but one, and returns how many of them had not expired."""
        alive = (sessions.c.account_id == account_id) & sessions.c.end_time.is_(None)
        if but is not None:
            alive &= sessions.c.id != but
        statement = update(sessions).where(alive).values(end_time=now).returning(sessions.c.expire_time)
        return sum(expire_time > now for expire_time in (await self._connection.execute(statement)).scalars())

    async def end_everyones(self, now: datetime) -> int:
        """Ends all sessions of all accounts, and returns how many of them had not expired."""
        statement = update(sessions).where(sessions.c.end_time.is_(None)).values(end_time=now)
        ended = await self._connection.execute(statement.returning(sessions.c.expire_time))
        return sum(expire_time > now for expire_time in ended.scalars())

    async def purge(self, before: datetime, limit: int) -> int:
        """Forgets up to so many sessions that expired before a time, and returns how many those were."""
        return await self._delete_before(sessions.c.expire_time, before, limit)

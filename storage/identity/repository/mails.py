from datetime import datetime
from uuid import UUID

from sqlalchemy import delete, select, update
from sqlalchemy.dialects.postgresql import insert

from storage.base import Reader, Records, Repository, column_names, row_maker
from storage.identity.records import SealedMail
from storage.identity.tables.mails import mails

_MAILS = Records(SealedMail)
_NEW = row_maker(column_names(mails))


class MailReader(Reader):
    """Mails that are to be sent."""

    async def find(self, mail_id: UUID) -> SealedMail | None:
        return _MAILS.first(await self._connection.execute(select(mails).where(mails.c.id == mail_id)))


class MailRepository(MailReader, Repository):
    """Mails that are to be sent, and are forgotten once they were."""

    async def add(self, mail: SealedMail) -> None:
        await self._connection.execute(insert(mails).values(_NEW(mail)))

    async def take(self, mail_id: UUID, now: datetime, until: datetime) -> bool:
        """Takes a mail to send it, which nobody else does until then; False where it is not due, or gone."""
        due = (mails.c.id == mail_id) & (mails.c.next_attempt_time <= now)
        statement = update(mails).where(due)
        statement = statement.values(attempt_count=mails.c.attempt_count + 1, next_attempt_time=until)
        return (await self._connection.execute(statement)).rowcount == 1

    async def delete(self, mail_id: UUID) -> None:
        await self._connection.execute(delete(mails).where(mails.c.id == mail_id))

    async def delete_all(self) -> int:
        """Forgets all mails, and returns how many those were."""
        return (await self._connection.execute(delete(mails))).rowcount

    async def purge(self, before: datetime, limit: int) -> int:
        """Forgets up to so many mails from before a time, and returns how many those were."""
        return await self._delete_before(mails.c.create_time, before, limit)

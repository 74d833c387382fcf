from collections.abc import Sequence
from datetime import datetime
from typing import Any, ClassVar, Generic, TypeVar
from uuid import UUID

from sqlalchemy import Select, Table, delete, insert, select, update

from storage.base import Reader, Records, Repository, column_names, latest, row_maker
from storage.tasks.records import Comment, TimeEntry
from storage.tasks.tables import comments, members, tasks, time_entries

Note = TypeVar("Note", Comment, TimeEntry)


class _NoteReader(Reader, Generic[Note]):
    """What somebody has added to tasks, of one kind."""

    table: ClassVar[Table]
    records: Any
    """Records of the kind."""

    async def find(self, account_id: UUID, note_id: UUID) -> Note | None:
        """One of a project that the account is a member of."""
        found: Note | None = self.records.first(await self._connection.execute(self._seen(account_id, note_id)))
        return found

    async def list_latest(self, task_id: UUID, *, before: tuple[datetime, UUID] | None, limit: int) -> Sequence[Note]:
        """Those of a task from the latest on, below a key of (create_time, id)."""
        statement = select(self.table).where(self.table.c.task_id == task_id)
        found = await self._connection.execute(latest(statement, self.table, before=before, limit=limit))
        read: Sequence[Note] = self.records.all(found)
        return read

    def _seen(self, account_id: UUID, note_id: UUID) -> Select[Any]:
        mine = (members.c.project_id == tasks.c.project_id) & (members.c.account_id == account_id)
        statement = select(self.table).join_from(self.table, tasks, tasks.c.id == self.table.c.task_id)
        return statement.join(members, mine).where(self.table.c.id == note_id)


class _NoteRepository(_NoteReader[Note], Repository):
    """The same, to be changed."""

    async def lock(self, account_id: UUID, note_id: UUID) -> Note | None:
        """One of a project that the account is a member of, locked until the transaction ends."""
        statement = self._seen(account_id, note_id).with_for_update(of=self.table)
        found: Note | None = self.records.first(await self._connection.execute(statement))
        return found

    async def add(self, note: Note) -> None:
        await self._connection.execute(insert(self.table).values(**self._row(note)))

    async def change(self, note: Note) -> None:
        """Stores the new values of one that was locked in this transaction."""
        statement = update(self.table).where(self.table.c.id == note.id).values(**self._row(note))
        await self._connection.execute(statement)

    async def remove(self, note: Note) -> None:
        await self._connection.execute(delete(self.table).where(self.table.c.id == note.id))

    def _row(self, note: Note) -> dict[str, Any]:
        return row_maker(column_names(self.table))(note)


class CommentReader(_NoteReader[Comment]):
    """Comments, as they are stored."""

    table = comments
    records = Records(Comment)


class CommentRepository(CommentReader, _NoteRepository[Comment]):
    """Comments."""


class TimeEntryReader(_NoteReader[TimeEntry]):
    """Time entries, as they are stored."""

    table = time_entries
    records = Records(TimeEntry)


class TimeEntryRepository(TimeEntryReader, _NoteRepository[TimeEntry]):
    """Time entries."""

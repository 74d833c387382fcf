"""What members add to tasks: comments, and the time that they have worked."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, TypeVar
from uuid import UUID

from server.frame.answers import AnswerKind
from server.frame.editing import Edit, changed, check_etag
from server.frame.errors import FieldInvalid, Refusal
from server.frame.repeating import once
from server.tasks.errors import CommentNotFound, TaskNotFound, TimeEntryNotFound
from server.tasks.rules.access import check_author, check_open, check_role, member
from server.tasks.rules.history import Happened
from server.tasks.service.answers import COMMENT, TIME_ENTRY
from server.tasks.service.recording import record
from storage.frame.records import ChangeContext
from storage.tasks.records import ActivityKind, Comment, Membership, ProjectRole, Task, TimeEntry
from storage.tasks.store import TasksReading, TasksStore, TasksTransaction

Note = TypeVar("Note", Comment, TimeEntry)


@dataclass(frozen=True, slots=True)
class NoteKind(Generic[Note]):
    """One kind of what is added to tasks."""

    noun: str
    """As it is called where a change is recorded."""
    make: Callable[..., Note]
    answer: AnswerKind[Note]
    added: ActivityKind
    updated: ActivityKind
    deleted: ActivityKind
    reader: Callable[[TasksReading], Any]
    """Its repository, in a reading or a transaction."""
    not_found: Callable[[UUID], Refusal]
    check: Callable[[Note], None]
    """Raises FieldInvalid where something is missing."""


class Notes(Generic[Note]):
    """Comments, or time entries."""

    def __init__(
        self, store: TasksStore, now: Callable[[], datetime], new_id: Callable[[], UUID], kind: NoteKind[Note]
    ) -> None:
        self._store = store
        self._now = now
        self._new_id = new_id
        self._kind: NoteKind[Note] = kind

    async def create(self, task_id: UUID, values: Mapping[str, Any], context: ChangeContext) -> Note:
        """Raises TaskNotFound, RoleTooLow, ProjectArchived, FieldInvalid."""

        async def act(tx: TasksTransaction) -> Note:
            now, author_id = self._now(), context.caller_id
            note = self._kind.make(
                id=self._new_id(),
                task_id=task_id,
                author_id=author_id,
                version=1,
                create_time=now,
                update_time=now,
                **values,
            )
            _, membership = await self._task(tx, task_id, author_id)
            check_role(membership, ProjectRole.COMMENTER)
            check_open(membership.project)
            self._kind.check(note)
            await self._kind.reader(tx).add(note)
            await self._record(tx, self._kind.added, membership, None, note, context)
            return note

        return await once(self._store, context, self._kind.answer, act, lambda note: f"{self._kind.noun}/{note.id}")

    async def edit(self, edit: Edit[UUID], context: ChangeContext) -> Note:
        """Raises what it is not found by, RoleTooLow, NotTheAuthor, ProjectArchived, EtagMismatch, FieldInvalid."""

        async def act(tx: TasksTransaction) -> Note:
            before, membership = await self._lock(tx, edit.key, context.caller_id)
            check_author(before, context.caller_id)
            check_open(membership.project)
            check_etag(before, edit)
            after = changed(before, edit.values, self._now())
            self._kind.check(after)
            if after is not before:
                await self._kind.reader(tx).change(after)
                await self._record(tx, self._kind.updated, membership, before, after, context)
            return after

        return await once(self._store, context, self._kind.answer, act, f"{self._kind.noun}/{edit.key}")

    async def delete(self, note_id: UUID, etag: str, context: ChangeContext) -> None:
        """Raises what it is not found by, RoleTooLow, NotTheAuthor, ProjectArchived, EtagMismatch."""

        async def act(tx: TasksTransaction) -> Note:
            note, membership = await self._lock(tx, note_id, context.caller_id)
            if membership.role < ProjectRole.OWNER:
                check_author(note, context.caller_id)
            check_open(membership.project)
            check_etag(note, Edit(note_id, etag, {}))
            await self._kind.reader(tx).remove(note)
            await self._record(tx, self._kind.deleted, membership, note, note, context)
            return note

        await once(self._store, context, self._kind.answer, act, f"{self._kind.noun}/{note_id}")

    async def list_latest(
        self, account_id: UUID, task_id: UUID, *, before: tuple[datetime, UUID] | None, limit: int
    ) -> Sequence[Note]:
        """Those of a task, latest first; raises TaskNotFound."""
        async with self._store.reading() as reading:
            await self._task(reading, task_id, account_id)
            found: Sequence[Note] = await self._kind.reader(reading).list_latest(task_id, before=before, limit=limit)
        return found

    async def _lock(self, tx: TasksTransaction, note_id: UUID, account_id: UUID) -> tuple[Note, Membership]:
        note: Note | None = await self._kind.reader(tx).lock(account_id, note_id)
        if note is None:
            raise self._kind.not_found(note_id)
        _, membership = await self._task(tx, note.task_id, account_id)
        check_role(membership, ProjectRole.COMMENTER)
        return note, membership

    async def _task(self, reading: TasksReading, task_id: UUID, account_id: UUID) -> tuple[Task, Membership]:
        task = await reading.tasks.find(account_id, task_id)
        if task is None:
            raise TaskNotFound(task=str(task_id))
        return task, member(await reading.projects.find(task.project_id, account_id), task.project_id)

    async def _record(
        self,
        tx: TasksTransaction,
        kind: ActivityKind,
        membership: Membership,
        before: Note | None,
        after: Note,
        context: ChangeContext,
    ) -> None:
        happened = Happened(kind, membership.project.id, before, after, context.caller_id)
        await record(tx, [happened], self._now(), self._new_id)


def _check_comment(comment: Comment) -> None:
    if not comment.text.strip():
        raise FieldInvalid.of("comment.text", "is required")


def _check_time_entry(entry: TimeEntry) -> None:
    if entry.minutes < 1:
        raise FieldInvalid.of("time_entry.minutes", "must be at least 1")


COMMENTS = NoteKind(
    noun="comment",
    make=Comment,
    answer=COMMENT,
    added=ActivityKind.TASK_COMMENTED,
    updated=ActivityKind.TASK_COMMENT_UPDATED,
    deleted=ActivityKind.TASK_COMMENT_DELETED,
    reader=lambda reading: reading.comments,
    not_found=lambda comment_id: CommentNotFound(comment_id=str(comment_id)),
    check=_check_comment,
)
TIME_ENTRIES = NoteKind(
    noun="time_entry",
    make=TimeEntry,
    answer=TIME_ENTRY,
    added=ActivityKind.TASK_TIME_ADDED,
    updated=ActivityKind.TASK_TIME_UPDATED,
    deleted=ActivityKind.TASK_TIME_DELETED,
    reader=lambda reading: reading.time_entries,
    not_found=lambda time_entry_id: TimeEntryNotFound(time_entry_id=str(time_entry_id)),
    check=_check_time_entry,
)

from collections.abc import Callable, Sequence
from datetime import datetime
from uuid import UUID

from server.frame.answers import DONE
from server.frame.batching import retry_on_contention
from server.frame.editing import Edit, changed, check_etag
from server.frame.errors import FieldInvalid
from server.frame.repeating import once
from server.tasks.errors import AssigneeNotMember, LimitReached, RecurringTaskNotFound
from server.tasks.rules.access import MOST_RECURRING_TASKS, check_change, member
from server.tasks.rules.history import Happened
from server.tasks.rules.recurring import RecurringTaskDraft, advanced, occurrence, scheduled
from server.tasks.service.answers import RECURRING_TASK
from server.tasks.service.making import Making
from server.tasks.service.recording import record
from storage.frame.records import NOBODY, ChangeContext
from storage.tasks.records import ActivityKind, ProjectRole, RecurringTask
from storage.tasks.store import TasksStore, TasksTransaction

CREATE_DUE = "tasks.create_due"
"""The task that creates what recurs."""

_DUE_AT_ONCE = 100


class RecurringTasks:
    """Tasks that are created again and again by a rule."""

    def __init__(
        self, store: TasksStore, now: Callable[[], datetime], new_id: Callable[[], UUID], making: Making
    ) -> None:
        self._store = store
        self._now = now
        self._new_id = new_id
        self._making = making

    async def create(self, project_id: UUID, draft: RecurringTaskDraft, context: ChangeContext) -> RecurringTask:
        """Raises FieldInvalid, ProjectNotFound, RoleTooLow, ProjectArchived, AssigneeNotMember, LimitReached."""

        async def act(tx: TasksTransaction) -> RecurringTask:
            made = draft.as_recurring_task(self._new_id(), project_id, self._now())
            await self._lock_project(tx, project_id, context)
            await self._check_assignee(tx, made)
            if await tx.recurring_tasks.count(project_id) >= MOST_RECURRING_TASKS:
                raise LimitReached(what="recurring tasks of a project", most=str(MOST_RECURRING_TASKS))
            await tx.recurring_tasks.add(made)
            await self._record(tx, ActivityKind.PROJECT_RECURRENCE_CREATED, None, made, context)
            return made

        return await once(self._store, context, RECURRING_TASK, act, lambda made: f"recurring_task/{made.id}")

    async def edit(self, edit: Edit[UUID], context: ChangeContext) -> RecurringTask:
        """Raises RecurringTaskNotFound, RoleTooLow, ProjectArchived, EtagMismatch, FieldInvalid, AssigneeNotMember."""

        async def act(tx: TasksTransaction) -> RecurringTask:
            before = await self._lock(tx, edit.key, context)
            check_etag(before, edit)
            now = self._now()
            after = changed(before, edit.values, now)
            if after is before:
                return before
            if not after.title:
                raise FieldInvalid.of("recurring_task.title", "is required")
            after = scheduled(after, now)
            await self._check_assignee(tx, after)
            await tx.recurring_tasks.change(after)
            await self._record(tx, ActivityKind.PROJECT_RECURRENCE_UPDATED, before, after, context)
            return after

        return await once(self._store, context, RECURRING_TASK, act, f"recurring_task/{edit.key}")

    async def delete(self, recurring_task_id: UUID, context: ChangeContext) -> None:
        """Raises RecurringTaskNotFound, RoleTooLow, ProjectArchived."""

        async def act(tx: TasksTransaction) -> None:
            gone = await self._lock(tx, recurring_task_id, context)
            await tx.recurring_tasks.remove(gone)
            await self._record(tx, ActivityKind.PROJECT_RECURRENCE_DELETED, gone, gone, context)

        await once(self._store, context, DONE, act, f"recurring_task/{recurring_task_id}")

    async def list_latest(
        self, account_id: UUID, project_id: UUID, *, before: tuple[datetime, UUID] | None, limit: int
    ) -> Sequence[RecurringTask]:
        """Latest first; raises ProjectNotFound."""
        async with self._store.reading() as reading:
            member(await reading.projects.find(project_id, account_id), project_id)
            return await reading.recurring_tasks.list_latest(project_id, before=before, limit=limit)

    async def create_due(self) -> int:
        """Creates the tasks of all occurrences up to now, each once, whoever else is at it; returns how many."""
        created = 0
        while True:
            async with self._store.reading() as reading:
                due = await reading.recurring_tasks.find_due(self._now(), _DUE_AT_ONCE)
            if not due:
                return created
            for each in due:
                created += await retry_on_contention(lambda found=each: self._create_next(found))  # type: ignore[misc]

    async def _create_next(self, found: RecurringTask) -> bool:
        """Creates one occurrence's task, unless somebody else just has; one of an archived project is left out."""
        async with self._store.transaction() as tx:
            project = (await tx.projects.lock_many([found.project_id])).get(found.project_id)
            recurring = await tx.recurring_tasks.lock(found.id)
            if project is None or recurring is None or recurring.next_time != found.next_time:
                return False
            await tx.recurring_tasks.change(advanced(recurring))
            if project.archived:
                return False
            pairs = [(project.id, recurring.assignee_id)] if recurring.assignee_id else []
            assignees = await tx.projects.lock_assignees(pairs)
            draft = occurrence(recurring, assignable=bool(assignees))
            task = await self._making.add(tx, draft, project, NOBODY, assignees)
            context = ChangeContext(NOBODY, CREATE_DUE, task.create_time)
            await tx.audit.record([context.entry(f"task/{task.id}")])
            return True

    async def _lock(self, tx: TasksTransaction, recurring_task_id: UUID, context: ChangeContext) -> RecurringTask:
        seen = await tx.recurring_tasks.find(context.caller_id, recurring_task_id)
        if seen is not None:
            await self._lock_project(tx, seen.project_id, context)
        found = await tx.recurring_tasks.lock(recurring_task_id) if seen else None
        if found is None:
            raise RecurringTaskNotFound(recurring_task_id=str(recurring_task_id))
        return found

    async def _lock_project(self, tx: TasksTransaction, project_id: UUID, context: ChangeContext) -> None:
        await tx.projects.lock_many([project_id])
        membership = member(await tx.projects.find(project_id, context.caller_id), project_id)
        check_change(membership, ProjectRole.EDITOR)

    async def _check_assignee(self, tx: TasksTransaction, recurring: RecurringTask) -> None:
        if recurring.assignee_id is None:
            return
        if not await tx.projects.lock_assignees([(recurring.project_id, recurring.assignee_id)]):
            raise AssigneeNotMember(account_id=str(recurring.assignee_id))

    async def _record(
        self,
        tx: TasksTransaction,
        kind: ActivityKind,
        before: RecurringTask | None,
        after: RecurringTask,
        context: ChangeContext,
    ) -> None:
        happened = Happened(kind, after.project_id, before, after, context.caller_id)
        await record(tx, [happened], self._now(), self._new_id)

from collections.abc import Callable
from datetime import datetime
from uuid import UUID

from server.frame.batching import retry_on_contention
from server.frame.repeating import once
from server.tasks.rules.access import check_change, member
from server.tasks.rules.editing import TaskDraft
from server.tasks.rules.history import Happened
from server.tasks.service.answers import TASK
from server.tasks.service.placing import check_assignee, check_links, last_rank
from server.tasks.service.recording import record
from storage.frame.records import NOBODY, ChangeContext
from storage.tasks.records import ActivityKind, Project, ProjectRole, Task
from storage.tasks.store import TasksStore, TasksTransaction


class Making:
    """Tasks that are created."""

    def __init__(self, store: TasksStore, now: Callable[[], datetime], new_id: Callable[[], UUID]) -> None:
        self._store = store
        self._now = now
        self._new_id = new_id

    async def create(self, draft: TaskDraft, context: ChangeContext) -> Task:
        """Raises ProjectNotFound, RoleTooLow, ProjectArchived, FieldInvalid, AssigneeNotMember, and what `check_links`
        does."""

        async def act(tx: TasksTransaction) -> Task:
            await tx.projects.lock_many([draft.project_id])
            membership = member(await tx.projects.find(draft.project_id, context.caller_id), draft.project_id)
            check_change(membership, ProjectRole.EDITOR)
            return await self.add(tx, draft, membership.project, context.caller_id)

        return await retry_on_contention(lambda: once(self._store, context, TASK, act, lambda task: f"task/{task.id}"))

    async def add(self, tx: TasksTransaction, draft: TaskDraft, project: Project, creator_id: UUID) -> Task:
        """Adds a task at the end of a project that was locked; `creator_id` may be NOBODY."""
        now = self._now()
        number = await tx.projects.next_number(project.id)
        rank = await last_rank(tx, project.id)
        creator = creator_id if creator_id != NOBODY else None
        task = draft.as_task(self._new_id(), creator, project, number, rank, now)
        assignees = [(project.id, task.assignee_id)] if task.assignee_id else []
        check_assignee(task, await tx.projects.lock_assignees(assignees))
        await check_links(tx, None, task)
        await tx.tasks.add([task])
        await tx.links.set_blockers(project.id, task.id, task.blocked_by, ())
        await record(tx, [Happened(ActivityKind.TASK_CREATED, project.id, None, task, creator_id)], now, self._new_id)
        return task

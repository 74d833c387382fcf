from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from uuid import UUID

from server.frame.errors import Refusal
from server.frame.repeating import once_for_each
from server.tasks.rules.access import check_change, member
from server.tasks.rules.editing import MakeTask, TaskDraft, numbered
from server.tasks.rules.history import Happened
from server.tasks.service.answers import TASK
from server.tasks.service.placing import check_assignee, check_links, last_rank
from server.tasks.service.recording import record
from storage.frame.records import NOBODY
from storage.tasks.records import ActivityKind, Membership, Project, ProjectRole, Task
from storage.tasks.store import TasksStore, TasksTransaction


class Making:
    """Tasks that are created."""

    def __init__(self, store: TasksStore, now: Callable[[], datetime], new_id: Callable[[], UUID]) -> None:
        self._store = store
        self._now = now
        self._new_id = new_id

    async def create(self, requests: Sequence[MakeTask]) -> Sequence[Task | Refusal]:
        """Creates tasks in the order of the requests, all in one transaction, with a verdict for each."""
        return await once_for_each(self._store, requests, TASK, self._create, lambda task: f"task/{task.id}")

    async def add(
        self,
        tx: TasksTransaction,
        draft: TaskDraft,
        project: Project,
        creator_id: UUID,
        assignees: Collection[tuple[UUID, UUID]],
    ) -> Task:
        """Adds a task at the end of a project that was locked, as its assignee was; `creator_id` may be NOBODY.

        Raises FieldInvalid, AssigneeNotMember, and what `check_links` does, and has changed nothing then.
        """
        now = self._now()
        creator = creator_id if creator_id != NOBODY else None
        draft_task = draft.as_task(self._new_id(), creator, project, now)
        check_assignee(draft_task, assignees)
        await check_links(tx, None, draft_task)
        task = numbered(draft_task, await tx.projects.next_number(project.id), await last_rank(tx, project.id))
        await tx.tasks.add([task])
        await tx.links.set_blockers(project.id, task.id, task.blocked_by, ())
        await record(tx, [Happened(ActivityKind.TASK_CREATED, project.id, None, task, creator_id)], now, self._new_id)
        return task

    async def _create(self, tx: TasksTransaction, requests: Sequence[MakeTask]) -> Sequence[Task | Refusal]:
        await tx.projects.lock_many({request.draft.project_id for request in requests})
        pairs = {(request.draft.project_id, request.context.caller_id) for request in requests}
        memberships = await tx.projects.find_memberships(pairs)
        wanted = {pair for request in requests if (pair := request.draft.assignee)}
        assignees = await tx.projects.lock_assignees(wanted)
        return [await self._verdict(tx, request, memberships, assignees) for request in requests]

    async def _verdict(
        self,
        tx: TasksTransaction,
        request: MakeTask,
        memberships: Mapping[tuple[UUID, UUID], Membership],
        assignees: Collection[tuple[UUID, UUID]],
    ) -> Task | Refusal:
        project_id, caller_id = request.draft.project_id, request.context.caller_id
        try:
            membership = member(memberships.get((project_id, caller_id)), project_id)
            check_change(membership, ProjectRole.EDITOR)
            return await self.add(tx, request.draft, membership.project, caller_id, assignees)
        except Refusal as refusal:
            return refusal

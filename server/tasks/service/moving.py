from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum, auto
from uuid import UUID

from server.frame.batching import retry_on_contention
from server.frame.editing import Edit, changed, check_etag
from server.frame.errors import Refusal
from server.frame.repeating import once, once_for_each
from server.tasks.errors import LinkedTaskNotFound, TaskNotFound
from server.tasks.rules.access import check_change, check_open, check_role, member
from server.tasks.rules.editing import check_fit
from server.tasks.rules.history import Happened
from server.tasks.rules.ranking import BEHIND_ALL
from server.tasks.service.answers import TASK
from server.tasks.service.placing import free_rank, last_rank
from server.tasks.service.recording import record
from storage.errors import StoreContention
from storage.frame.records import ChangeContext
from storage.tasks.records import ActivityKind, Membership, ProjectRole, Task, TaskState
from storage.tasks.store import TasksStore, TasksTransaction


class Side(Enum):
    """Where a task goes: beside a neighbor, or to an end."""

    BEFORE = auto()
    AFTER = auto()
    FIRST = auto()
    LAST = auto()


@dataclass(frozen=True, slots=True)
class Place:
    side: Side
    neighbor_id: UUID | None = None
    """Where it goes beside one."""


@dataclass(frozen=True, slots=True)
class MoveTask:
    """A request to move a task within its project, and to another state where one is given."""

    context: ChangeContext
    task_id: UUID
    etag: str
    """Empty where the caller does not mind changes in between."""
    place: Place
    state: TaskState | None


class Moving:
    """Tasks that are moved, within their project or to another one."""

    def __init__(self, store: TasksStore, now: Callable[[], datetime], new_id: Callable[[], UUID]) -> None:
        self._store = store
        self._now = now
        self._new_id = new_id

    async def move(self, requests: Sequence[MoveTask]) -> Sequence[Task | Refusal]:
        """Moves tasks within their projects, in the order of the requests, all in one transaction, with a verdict for
        each."""
        return await once_for_each(self._store, requests, TASK, self._move, lambda task: f"task/{task.id}")

    async def _move(self, tx: TasksTransaction, requests: Sequence[MoveTask]) -> Sequence[Task | Refusal]:
        ids = {request.task_id for request in requests}
        projects = await tx.tasks.find_projects(ids)
        await tx.projects.lock_many(set(projects.values()))
        locked = await tx.tasks.lock_many(ids)
        if any(locked[task_id].project_id != project_id for task_id, project_id in projects.items()):
            raise StoreContention  # it was just moved to another project, which is not locked
        pairs = {
            (projects[request.task_id], request.context.caller_id)
            for request in requests
            if request.task_id in projects
        }
        memberships = await tx.projects.find_memberships(pairs)
        outcomes: list[Task | Refusal] = []
        for request in requests:
            project_id = projects.get(request.task_id)
            membership = memberships.get((project_id, request.context.caller_id)) if project_id else None
            try:
                outcomes.append(await self._one(tx, request, membership))
            except Refusal as refusal:
                outcomes.append(refusal)
        return outcomes

    async def _one(self, tx: TasksTransaction, request: MoveTask, membership: Membership | None) -> Task:
        """Raises TaskNotFound, RoleTooLow, ProjectArchived, EtagMismatch, LinkedTaskNotFound."""
        if membership is None:
            raise TaskNotFound(task=str(request.task_id))
        check_change(membership, ProjectRole.EDITOR)
        # Read again, since a move before it may have moved it, too, or renewed its rank.
        before = (await tx.tasks.find_many([request.task_id]))[request.task_id]
        check_etag(before, Edit(request.task_id, request.etag, {}))
        rank = await self._rank(tx, before, request.place, request.context.caller_id)
        after = changed(before, {"rank": rank, "state": request.state or before.state}, self._now())
        if after is not before:
            await tx.tasks.change([after], texts=False)
            await self._record(tx, ActivityKind.TASK_MOVED, before, after, request.context)
        return after

    async def transfer(self, task_id: UUID, project_id: UUID, etag: str, context: ChangeContext) -> Task:
        """Moves a task to another project.

        Raises TaskNotFound, ProjectNotFound, RoleTooLow, ProjectArchived, EtagMismatch, TaskDoesNotFit.
        """

        async def act(tx: TasksTransaction) -> Task:
            before = await self._lock(tx, task_id, context.caller_id, project_id)
            here = member(await tx.projects.find(before.project_id, context.caller_id), before.project_id)
            there = member(await tx.projects.find(project_id, context.caller_id), project_id)
            for membership in (here, there):
                check_role(membership, ProjectRole.EDITOR)
            for membership in (here, there):
                check_open(membership.project)
            check_etag(before, Edit(task_id, etag, {}))
            if before.project_id == project_id:
                return before
            pairs = [(project_id, before.assignee_id)] if before.assignee_id else []
            assignable = bool(await tx.projects.lock_assignees(pairs))
            parts = await tx.tasks.has_parts(before.project_id, task_id)
            check_fit(before, there.project, assignable=assignable, parts=parts)
            rank, number = await last_rank(tx, project_id), await tx.projects.next_number(project_id)
            place = {"project_id": project_id, "project_key": there.project.key, "number": number, "rank": rank}
            after = changed(before, place, self._now())
            await tx.tasks.transfer(after)
            await self._record(tx, ActivityKind.TASK_TRANSFERRED, before, after, context)
            return after

        return await retry_on_contention(lambda: once(self._store, context, TASK, act, f"task/{task_id}"))

    async def _lock(self, tx: TasksTransaction, task_id: UUID, account_id: UUID, *more: UUID) -> Task:
        """A task and its project, and more projects, all locked; raises TaskNotFound."""
        seen = await tx.tasks.find(account_id, task_id)
        if seen is None:
            raise TaskNotFound(task=str(task_id))
        await tx.projects.lock_many({seen.project_id, *more})
        task = (await tx.tasks.lock_many([task_id]))[task_id]
        if task.project_id != seen.project_id:
            raise StoreContention
        return task

    async def _rank(self, tx: TasksTransaction, task: Task, place: Place, account_id: UUID) -> str:
        """A rank at a place; the task's own where it is there already."""
        low, high = await self._neighbors(tx, task, place, account_id)
        if (low is None or low < task.rank) and (high is None or task.rank < high):
            return task.rank
        return await free_rank(tx, task.project_id, low, high)

    async def _neighbors(
        self, tx: TasksTransaction, task: Task, place: Place, account_id: UUID
    ) -> tuple[str | None, str | None]:
        project_id, ranks = task.project_id, tx.ranks
        if place.side is Side.LAST:
            return await ranks.find_before(project_id, BEHIND_ALL, without=task.id), None
        if place.side is Side.FIRST:
            return None, await ranks.find_after(project_id, "", without=task.id)
        neighbor_id = place.neighbor_id or task.id
        # It need not be locked: ranks are changed where the project is locked, as it is here.
        neighbor = await tx.tasks.find(account_id, neighbor_id)
        if neighbor is None or neighbor.project_id != project_id or neighbor_id == task.id:
            raise LinkedTaskNotFound(task_id=str(neighbor_id))
        if place.side is Side.BEFORE:
            return await ranks.find_before(project_id, neighbor.rank, without=task.id), neighbor.rank
        return neighbor.rank, await ranks.find_after(project_id, neighbor.rank, without=task.id)

    async def _record(
        self, tx: TasksTransaction, kind: ActivityKind, before: Task, after: Task, context: ChangeContext
    ) -> None:
        happened = Happened(kind, after.project_id, before, after, context.caller_id)
        await record(tx, [happened], after.update_time, self._new_id)

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from server.frame.batching import retry_on_contention
from server.frame.errors import Refusal
from server.frame.repeating import once_for_each
from server.tasks.errors import TaskNotFound
from server.tasks.rules.access import check_change
from server.tasks.rules.editing import TEXTS, EditTask, edited
from server.tasks.rules.history import Happened
from server.tasks.service.answers import TASK
from server.tasks.service.placing import check_assignee, check_links, link
from server.tasks.service.recording import record
from storage.errors import StoreContention
from storage.tasks.records import ActivityKind, Membership, ProjectRole, Task
from storage.tasks.store import TasksStore, TasksTransaction


@dataclass
class _Decided:
    """Tasks as one transaction has them: each change sees those before it."""

    tasks: dict[UUID, Task]
    memberships: Mapping[tuple[UUID, UUID], Membership]
    assignees: Collection[tuple[UUID, UUID]]
    happened: dict[int, Happened] = field(default_factory=dict)
    """By the places of the requests."""


class Editing:
    """Tasks that are changed."""

    def __init__(self, store: TasksStore, now: Callable[[], datetime], new_id: Callable[[], UUID]) -> None:
        self._store = store
        self._now = now
        self._new_id = new_id

    async def edit(self, requests: Sequence[EditTask]) -> Sequence[Task | Refusal]:
        """Changes tasks in the order of the requests, all in one transaction, with a verdict for each."""
        return await once_for_each(self._store, requests, TASK, self._edit, lambda task: f"task/{task.id}")

    async def edit_batch(self, requests: Sequence[EditTask]) -> Sequence[Task | Refusal]:
        """The same for one caller, tried again where other transactions are in the way."""
        return await retry_on_contention(lambda: self.edit(requests))

    async def _edit(self, tx: TasksTransaction, requests: Sequence[EditTask]) -> Sequence[Task | Refusal]:
        if not requests:
            return ()
        decided = await self._lock(tx, requests)
        now = self._now()
        outcomes: list[Task | Refusal] = []
        for place, request in enumerate(requests):
            try:
                outcomes.append(await self._one(tx, place, request, decided, now))
            except Refusal as refusal:
                outcomes.append(refusal)
        await self._store_changes(tx, requests, decided, now)
        return outcomes

    async def _lock(self, tx: TasksTransaction, requests: Sequence[EditTask]) -> _Decided:
        """Projects where links may change, then assignees, then tasks: as `ProjectRepository` has it."""
        ids = {request.edit.key for request in requests}
        linked = {request.edit.key for request in requests if request.links}
        assigned = {request.edit.key for request in requests if request.edit.values.get("assignee_id")}
        places: Mapping[UUID, UUID] = {}
        assignees: Collection[tuple[UUID, UUID]] = ()
        if linked or assigned:
            places = await tx.tasks.find_projects(linked | assigned)
            if projects := {places[each] for each in linked if each in places}:
                await tx.projects.lock_many(projects)
            wanted = {
                (places[request.edit.key], request.edit.values["assignee_id"])
                for request in requests
                if request.edit.key in places and request.edit.values.get("assignee_id")
            }
            assignees = await tx.projects.lock_assignees(wanted)
        tasks = dict(await tx.tasks.lock_many(ids))
        if any(tasks[each].project_id != project_id for each, project_id in places.items() if each in tasks):
            raise StoreContention  # it was just moved to another project, which is not locked
        pairs = {
            (tasks[request.edit.key].project_id, request.account_id)
            for request in requests
            if request.edit.key in tasks
        }
        return _Decided(tasks, await tx.projects.find_memberships(pairs), assignees)

    async def _one(self, tx: TasksTransaction, place: int, request: EditTask, decided: _Decided, now: datetime) -> Task:
        before = decided.tasks.get(request.edit.key)
        membership = decided.memberships.get((before.project_id, request.account_id)) if before else None
        if before is None or membership is None:
            raise TaskNotFound(task=str(request.edit.key))
        check_change(membership, ProjectRole.EDITOR)
        after = edited(before, request.edit, membership.project, now)
        if after.assignee_id != before.assignee_id:
            check_assignee(after, decided.assignees)
        if request.links:
            await check_links(tx, before, after)
            await link(tx, before, after)
        if after is not before:
            decided.tasks[after.id] = after
            decided.happened[place] = Happened(
                ActivityKind.TASK_UPDATED, after.project_id, before, after, request.context.caller_id
            )
        return after

    async def _store_changes(
        self, tx: TasksTransaction, requests: Sequence[EditTask], decided: _Decided, now: datetime
    ) -> None:
        changed = {each.after.id: each for each in decided.happened.values() if isinstance(each.after, Task)}
        texts = any(not request.edit.values.keys().isdisjoint(TEXTS) for request in requests)
        await tx.tasks.change([decided.tasks[task_id] for task_id in changed], texts=texts)
        await record(tx, list(decided.happened.values()), now, self._new_id)

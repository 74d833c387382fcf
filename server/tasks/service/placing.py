"""Finding ranks, and links that make no circle, in a project that the transaction has locked."""

from collections.abc import Collection
from uuid import UUID

from server.tasks.errors import (
    AssigneeNotMember,
    BlockerCircle,
    LimitReached,
    LinkedTaskNotFound,
    ParentCircle,
    TooDeep,
)
from server.tasks.rules.editing import MOST_ABOVE, MOST_BLOCKED
from server.tasks.rules.ranking import WINDOW, rank_between, ranks_between
from storage.tasks.records import Task
from storage.tasks.store import TasksTransaction


async def free_rank(tx: TasksTransaction, project_id: UUID, low: str | None, high: str | None) -> str:
    """A rank between two neighbors, None being an end; those around are renewed where there is no short one left."""
    count = WINDOW
    while (rank := rank_between(low, high)) is None:
        before, behind = await tx.ranks.find_around(project_id, high or low or "", count + 1)
        floor = before[0][1] if len(before) > count else None
        ceiling = behind[-1][1] if len(behind) > count else None
        inner = [*before[-count:], *behind[:count]]
        renewed = ranks_between(floor, ceiling, len(inner))
        count *= 4
        if renewed is None:
            continue
        await tx.ranks.renew(project_id, {task_id: new for (task_id, _), new in zip(inner, renewed, strict=True)})
        new_of = {old: new for (_, old), new in zip(inner, renewed, strict=True)}
        low, high = (new_of.get(each, each) if each else each for each in (low, high))
    return rank


async def last_rank(tx: TasksTransaction, project_id: UUID) -> str:
    """A rank behind all others."""
    return await free_rank(tx, project_id, await tx.ranks.find_last(project_id), None)


def check_assignee(task: Task, assignees: Collection[tuple[UUID, UUID]]) -> None:
    """Raises AssigneeNotMember; `assignees` are accounts that are members, each behind the project's id."""
    if task.assignee_id is not None and (task.project_id, task.assignee_id) not in assignees:
        raise AssigneeNotMember(account_id=str(task.assignee_id))


async def check_links(tx: TasksTransaction, before: Task | None, after: Task) -> None:
    """Whether a task may have its parent and blockers; `before` is None where it is new.

    Raises LinkedTaskNotFound, ParentCircle, BlockerCircle, TooDeep, LimitReached.
    """
    added = set(after.blocked_by).difference(before.blocked_by if before else ())
    moves = after.parent_id is not None and (before is None or before.parent_id != after.parent_id)
    named = [*([after.parent_id] if moves and after.parent_id else []), *sorted(added)]
    existing = await tx.links.find_existing(after.project_id, named) if named else ()
    for task_id in named:
        if task_id not in existing and task_id != after.id:
            raise LinkedTaskNotFound(task_id=str(task_id))
    if moves and after.parent_id is not None:
        await _check_parent(tx, after.id, after.parent_id, is_new=before is None)
    for blocker_id in sorted(added):
        await _check_blocker(tx, after.id, blocker_id)


async def link(tx: TasksTransaction, before: Task, after: Task) -> None:
    """Stores the parent and the blockers of a task, which were checked."""
    if before.parent_id != after.parent_id:
        await tx.tasks.set_parent(after.id, after.parent_id)
    was, now = set(before.blocked_by), set(after.blocked_by)
    if was != now:
        await tx.links.set_blockers(after.project_id, after.id, now - was, was - now)


async def _check_parent(tx: TasksTransaction, task_id: UUID, parent_id: UUID, *, is_new: bool) -> None:
    above = [parent_id, *await tx.links.find_ancestors(parent_id, MOST_ABOVE + 1)]
    if task_id in above:
        raise ParentCircle
    height = 0 if is_new else await tx.links.find_height(task_id, MOST_ABOVE)
    if len(above) + height > MOST_ABOVE:
        raise TooDeep(most=str(MOST_ABOVE))


async def _check_blocker(tx: TasksTransaction, task_id: UUID, blocker_id: UUID) -> None:
    if blocker_id == task_id or task_id in await tx.links.find_waited_for(blocker_id):
        raise BlockerCircle
    if await tx.links.count_blocked(blocker_id) >= MOST_BLOCKED:
        raise LimitReached(what="tasks that wait for one", most=str(MOST_BLOCKED))

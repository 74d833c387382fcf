from collections.abc import Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from datetime import datetime
from time import monotonic
from typing import Any, TypeAlias
from uuid import UUID

from server.frame.batching import Batcher
from server.frame.change_log import ChangeLog
from server.frame.errors import FieldInvalid, PageTokenInvalid, Refusal
from server.frame.message_cache import MessageCache
from server.frame.resuming import Position
from server.frame.watching import Feed, WatchMessages
from server.tasks.errors import TaskNotFound
from server.tasks.rules.access import member
from storage.tasks.records import Activity, Found, Task, TaskAudience, TaskChange, TaskFilter, TaskHead, TaskOrder
from storage.tasks.store import TasksReading, TasksStore

_KNOWN_SECONDS = 0.05
"""For how long an open watch takes it for known that its reader sees a project."""


ListedTask: TypeAlias = tuple[TaskHead, bytes]
"""A task in a list, and its message."""


@dataclass(frozen=True, slots=True)
class RankedPage:
    """Tasks in the order by hand, and how often the ranks were renewed before they were read."""

    epoch: int
    tasks: Sequence[ListedTask]


@dataclass(frozen=True, slots=True)
class ReadTask:
    """A request to read one task."""

    account_id: UUID
    task_id: UUID


class TaskChanges(ChangeLog[TasksReading, TaskChange, TaskAudience]):
    """The log of what happened to tasks."""

    def __init__(self) -> None:
        super().__init__(lambda reading: reading.task_changes, TaskAudience(), _concerns)


class Tasks:
    """Tasks as they are read and watched, each by the members of its project alone."""

    def __init__(self, store: TasksStore, now: Callable[[], datetime], messages: MessageCache[Task]) -> None:
        self._store = store
        self._messages = messages
        self.feed = Feed(store, TaskChanges(), now)
        self.seeing = Batcher[tuple[UUID, UUID], bool](self._see)

    async def read(self, requests: Sequence[ReadTask]) -> Sequence[Task | Refusal]:
        """Tasks as their readers see them, all by one query, with a TaskNotFound for each that its reader does not."""
        asked = {(request.task_id, request.account_id) for request in requests}
        async with self._store.reading() as reading:
            found = await reading.tasks.find_seen(asked)
        return [
            found.get((request.task_id, request.account_id)) or TaskNotFound(task=str(request.task_id))
            for request in requests
        ]

    async def get_by_key(self, account_id: UUID, key: str) -> Task:
        """The task that has a key, or once had it; raises TaskNotFound."""
        project_key, _, number = key.partition("-")
        if not (number.isascii() and number.isdecimal() and len(number) < 10):
            raise TaskNotFound(task="known by this key")
        async with self._store.reading() as reading:
            found = await reading.tasks.find_by_key(account_id, project_key, int(number))
        return _found(found, "known by this key")

    async def list_tasks(
        self, account_id: UUID, wanted: TaskFilter, order: TaskOrder, *, after: tuple[Any, ...] | None, limit: int
    ) -> Sequence[ListedTask]:
        """Tasks in any order but that by rank; raises ProjectNotFound."""
        async with self._store.reading() as reading:
            found = await self._listed(reading, account_id, wanted, order, after=after, limit=limit)
            if not found:
                await _check_member(reading, account_id, wanted.project_id)
        return found

    async def list_whole(
        self, account_id: UUID, wanted: TaskFilter, *, after: tuple[datetime, UUID] | None, limit: int
    ) -> Sequence[Task]:
        """What the tasks say, those that were created last first; raises ProjectNotFound."""
        async with self._store.reading() as reading:
            found = await reading.tasks.list_tasks(account_id, wanted, TaskOrder.CREATE_TIME, after=after, limit=limit)
            if not found:
                await _check_member(reading, account_id, wanted.project_id)
        return [task for _, task in found]

    async def list_ranked(
        self, account_id: UUID, wanted: TaskFilter, *, after: tuple[str, int] | None, limit: int
    ) -> RankedPage:
        """A project's tasks in the order by hand, behind a key of (rank, epoch).

        Raises ProjectNotFound, FieldInvalid where no project is named, and PageTokenInvalid where the ranks were
        renewed since the epoch: nobody knows what would be behind the key.
        """
        if wanted.project_id is None:
            raise FieldInvalid.of("order", "by rank is of one project: name it in filter.project_id")
        async with self._store.snapshot_reading() as reading:
            await _check_member(reading, account_id, wanted.project_id)
            epoch = await reading.projects.find_rank_epoch(wanted.project_id) or 0
            if after is not None and after[1] != epoch:
                raise PageTokenInvalid
            key = (after[0],) if after is not None else None
            found = await self._listed(reading, account_id, wanted, TaskOrder.RANK, after=key, limit=limit)
        return RankedPage(epoch, found)

    async def _listed(
        self,
        reading: TasksReading,
        account_id: UUID,
        wanted: TaskFilter,
        order: TaskOrder,
        *,
        after: tuple[Any, ...] | None,
        limit: int,
    ) -> Sequence[ListedTask]:
        """A page's tasks; it is read whole where one of them has changed, or was not shown for long.

        By one statement then, too: a page is of one moment.
        """
        heads = await reading.tasks.list_heads(account_id, wanted, order, after=after, limit=limit)
        known = self._messages.find_all((head.id, head.state) for head in heads)
        if known is not None:
            return list(zip(heads, known, strict=True))
        found = await reading.tasks.list_tasks(account_id, wanted, order, after=after, limit=limit)
        return [(head, self._messages.add(head.id, head.state, task)) for head, task in found]

    async def search(
        self, account_id: UUID, query: str, project_id: UUID | None, *, after: tuple[float, UUID] | None, limit: int
    ) -> Sequence[Found]:
        """Tasks by words, the most relevant first; raises ProjectNotFound."""
        async with self._store.reading() as reading:
            found = await reading.tasks.search(account_id, query, project_id, after=after, limit=limit)
            if not found:
                await _check_member(reading, account_id, project_id)
        return found

    async def list_activity(
        self,
        account_id: UUID,
        task_id: UUID | None,
        project_id: UUID | None,
        *,
        before: tuple[datetime, UUID] | None,
        limit: int,
    ) -> Sequence[Activity]:
        """What was changed of a task, or in a project, latest first; raises TaskNotFound, ProjectNotFound."""
        async with self._store.reading() as reading:
            if task_id is not None:
                _found(await reading.tasks.find(account_id, task_id), str(task_id))
            await _check_member(reading, account_id, project_id)
            return await reading.activities.list_latest(
                project_id=project_id, task_id=task_id, before=before, limit=limit
            )

    async def watch(
        self, account_id: UUID, project_id: UUID | None, position: Position | None
    ) -> WatchMessages[TaskChange]:
        """Sends a caller the changes in its projects, or in one of them; raises ProjectNotFound."""
        async with self._store.reading() as reading:
            await _check_member(reading, account_id, project_id)
        known: dict[UUID, tuple[float, bool]] = {}
        async with aclosing(self.feed.watch(position, TaskAudience(account_id, project_id))) as messages:
            async for message in messages:
                if message.change is None or await self._sees(account_id, message.change.project_id, known):
                    yield message

    async def _sees(self, account_id: UUID, project_id: UUID, known: dict[UUID, tuple[float, bool]]) -> bool:
        """Whether the reader of a watch sees a project now: a change may have been read before it was lost."""
        time, sees = known.get(project_id, (float("-inf"), False))
        if monotonic() - time > _KNOWN_SECONDS:
            time = monotonic()
            sees = await self.seeing.submit((project_id, account_id))
            known[project_id] = (time, sees)
        return sees

    async def _see(self, pairs: Sequence[tuple[UUID, UUID]]) -> Sequence[bool]:
        """Whether accounts are members of projects, asked for all watches that have something to send at once."""
        async with self._store.reading() as reading:
            members = await reading.projects.find_memberships(set(pairs))
        return [pair in members for pair in pairs]


def _concerns(change: TaskChange, audience: TaskAudience) -> bool:
    """The same rule as the reader's."""
    mine = audience.account_id is None or audience.account_id in change.members
    return mine and audience.project_id in (None, change.project_id)


def _found(task: Task | None, named: str) -> Task:
    if task is None:
        raise TaskNotFound(task=named)
    return task


async def _check_member(reading: TasksReading, account_id: UUID, project_id: UUID | None) -> None:
    if project_id is not None:
        member(await reading.projects.find(project_id, account_id), project_id)

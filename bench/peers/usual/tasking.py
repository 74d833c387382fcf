"""Tasks: read, listed and changed, each one use case, by entities in a session."""

import hashlib
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Self
from uuid import UUID

from fastapi import status
from pydantic import BaseModel, Field
from sqlalchemy import select, tuple_
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncSession
from uuid_utils.compat import uuid7

from bench.peers.usual.booking_models import Event
from bench.peers.usual.errors import Refusal, RequestIdReused
from bench.peers.usual.models import AuditEntry
from bench.peers.usual.paging import key_of, token_after
from bench.peers.usual.placing import Call
from bench.peers.usual.schemas import Out
from bench.peers.usual.security import Caller
from bench.peers.usual.task_models import EDITOR, Activity, Member, Project, Task, TaskRequest

UPDATE = "PATCH /tasks"
"""Its name in the record of changes."""


class TaskIn(BaseModel):
    """What to change; a field that is not set stays."""

    request_id: UUID | None = None
    """Makes repeating the request safe."""
    etag: Annotated[str, Field(max_length=64)] = ""
    title: Annotated[str, Field(min_length=1, max_length=300)] | None = None
    description: Annotated[str, Field(max_length=20_000)] | None = None
    state: Annotated[str, Field(pattern="open|in_progress|in_review|done|canceled")] | None = None
    priority: Annotated[int, Field(ge=1, le=4)] | None = None


class TaskOut(Out):
    id: UUID
    project_id: UUID
    number: int
    title: str
    description: str
    state: str
    priority: int
    assignee_id: UUID | None
    due_time: datetime | None
    labels: list[str]
    parent_id: UUID | None
    blocked_by_ids: list[UUID]
    blocking_ids: list[UUID]
    custom_values: list[Any]
    rank: str
    etag: str
    create_time: datetime
    update_time: datetime

    @classmethod
    def of(cls, task: Task) -> Self:
        values = {name: getattr(task, name) for name in cls.model_fields if hasattr(task, name)}
        linked = {
            "blocked_by_ids": sorted(each.blocker_id for each in task.blocked_by),
            "blocking_ids": sorted(each.blocked_id for each in task.blocking),
        }
        return cls(**values, **linked, etag=etag_of(task))


class TaskPage(BaseModel):
    tasks: list[TaskOut]
    next_page_token: str


class TaskNotFound(Refusal):
    """No task of the caller's projects has this id."""

    status_code = status.HTTP_404_NOT_FOUND
    reason = "TASK_NOT_FOUND"


class RoleTooLow(Refusal):
    """The caller is not an editor of the project, or it is archived."""

    status_code = status.HTTP_403_FORBIDDEN
    reason = "ROLE_TOO_LOW"


class EtagMismatch(Refusal):
    """The task has changed since it was read."""

    status_code = status.HTTP_412_PRECONDITION_FAILED
    reason = "ETAG_MISMATCH"


def etag_of(task: Task) -> str:
    return f"{task.version}-{int(task.create_time.timestamp() * 1_000_000):x}"


class TaskService:
    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def get(self, task_id: UUID, caller: Caller) -> TaskOut:
        """Raises TaskNotFound."""
        mine = (Member.project_id == Task.project_id) & (Member.account_id == caller.account_id)
        task = await self._session.scalar(select(Task).join(Member, mine).where(Task.id == task_id))
        if task is None:
            raise TaskNotFound
        return TaskOut.of(task)

    async def list_tasks(
        self, project_id: UUID, states: Sequence[str], page_token: str, page_size: int, caller: Caller
    ) -> TaskPage:
        """The latest first; raises TaskNotFound, PageTokenInvalid."""
        if await self._session.get(Member, (project_id, caller.account_id)) is None:
            raise TaskNotFound
        statement = select(Task).where(Task.project_id == project_id)
        if states:
            statement = statement.where(Task.state.in_(states))
        if (after := key_of(page_token)) is not None:
            statement = statement.where(tuple_(Task.create_time, Task.id) < after)
        statement = statement.order_by(Task.create_time.desc(), Task.id.desc()).limit(page_size + 1)
        found = list(await self._session.scalars(statement))
        last = found[page_size - 1] if len(found) > page_size else None
        token = token_after(last.create_time, last.id) if last is not None else ""
        return TaskPage(tasks=[TaskOut.of(task) for task in found[:page_size]], next_page_token=token)

    async def update(self, task_id: UUID, asked: TaskIn, call: Call) -> TaskOut:
        """Changes the fields that are set; a repeated request gets the first answer.

        Raises RequestIdReused, TaskNotFound, RoleTooLow, EtagMismatch.
        """
        request = None
        if asked.request_id is not None:
            request, first = await self._claim(task_id, asked, asked.request_id, call)
            if not first:
                return TaskOut.model_validate(request.answer)
        task = await self._locked(task_id, call.caller)
        if asked.etag and asked.etag != etag_of(task):
            raise EtagMismatch
        changes = self._changed(task, asked, call)
        answer = TaskOut.of(task)
        if changes:
            self._tell(task, changes, answer, call)
        if request is not None:
            request.answer = answer.model_dump(mode="json")
        await self._session.commit()
        return answer

    async def _locked(self, task_id: UUID, caller: Caller) -> Task:
        """A task that the caller may change; raises TaskNotFound, RoleTooLow."""
        task = await self._session.get(Task, task_id, with_for_update={"of": Task})
        if task is None:
            raise TaskNotFound
        member = await self._session.get(Member, (task.project_id, caller.account_id))
        if member is None:
            raise TaskNotFound
        project = await self._session.get_one(Project, task.project_id)
        if member.role < EDITOR or project.archived:
            raise RoleTooLow
        return task

    def _changed(self, task: Task, asked: TaskIn, call: Call) -> list[dict[str, str]]:
        values = asked.model_dump(exclude={"request_id", "etag"}, exclude_none=True)
        changes = [
            {"field": name, "before": str(getattr(task, name))[:200], "after": str(value)[:200]}
            for name, value in values.items()
            if getattr(task, name) != value
        ]
        if changes:
            for name, value in values.items():
                setattr(task, name, value)
            task.version += 1
            task.update_time = call.time
        return changes

    def _tell(self, task: Task, changes: list[dict[str, str]], answer: TaskOut, call: Call) -> None:
        activity = Activity(
            id=uuid7(),
            project_id=task.project_id,
            task_id=task.id,
            kind="task.updated",
            actor_id=call.caller.account_id,
            version=task.version,
            changes=changes,
            create_time=call.time,
        )
        told = {"activity_id": str(activity.id), "task": answer.model_dump(mode="json")}
        event = Event(type="task.updated", subject_id=task.id, data=told, create_time=call.time)
        entry = AuditEntry(
            create_time=call.time,
            caller_id=call.caller.account_id,
            action=UPDATE,
            resource=f"task/{task.id}",
            address=call.address,
            call_id=str(call.id),
            result="OK",
        )
        self._session.add_all([activity, event, entry])

    async def _claim(self, task_id: UUID, asked: TaskIn, request_id: UUID, call: Call) -> tuple[TaskRequest, bool]:
        """The request, and whether this is the first time that it comes."""
        content = f"{task_id} {asked.model_dump_json(exclude={'request_id'}, exclude_unset=True)}"
        digest = hashlib.sha256(content.encode()).digest()
        key = {"caller_id": call.caller.account_id, "request_id": request_id}
        claiming = upsert(TaskRequest).values(**key, digest=digest, answer=None).on_conflict_do_nothing()
        first = (await self._session.execute(claiming.returning(TaskRequest.request_id))).first() is not None
        request = await self._session.get_one(TaskRequest, (call.caller.account_id, request_id))
        if request.digest != digest:
            raise RequestIdReused
        return request, first

from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import IntEnum, StrEnum
from typing import Any
from uuid import UUID


class ProjectRole(IntEnum):
    """Each may do what the lower ones may."""

    VIEWER = 1
    COMMENTER = 2
    EDITOR = 3
    OWNER = 4


class CustomFieldType(StrEnum):
    TEXT = "text"
    NUMBER = "number"
    DATE = "date"
    CHOICE = "choice"


class TaskState(StrEnum):
    OPEN = "open"
    IN_PROGRESS = "in_progress"
    IN_REVIEW = "in_review"
    DONE = "done"
    CANCELED = "canceled"


class TaskPriority(IntEnum):
    LOW = 1
    NORMAL = 2
    HIGH = 3
    URGENT = 4


class TaskOrder(StrEnum):
    RANK = "rank"
    CREATE_TIME = "create_time"
    UPDATE_TIME = "update_time"
    DUE_TIME = "due_time"
    PRIORITY = "priority"
    NUMBER = "number"


class ActivityKind(StrEnum):
    """What was changed; the event of a change has the same name."""

    PROJECT_CREATED = "project.created"
    PROJECT_UPDATED = "project.updated"
    PROJECT_MEMBER_SET = "project.member_set"
    PROJECT_MEMBER_REMOVED = "project.member_removed"
    PROJECT_RECURRENCE_CREATED = "project.recurrence_created"
    PROJECT_RECURRENCE_UPDATED = "project.recurrence_updated"
    PROJECT_RECURRENCE_DELETED = "project.recurrence_deleted"
    TASK_CREATED = "task.created"
    TASK_UPDATED = "task.updated"
    TASK_MOVED = "task.moved"
    TASK_TRANSFERRED = "task.transferred"
    TASK_COMMENTED = "task.commented"
    TASK_COMMENT_UPDATED = "task.comment_updated"
    TASK_COMMENT_DELETED = "task.comment_deleted"
    TASK_TIME_ADDED = "task.time_added"
    TASK_TIME_UPDATED = "task.time_updated"
    TASK_TIME_DELETED = "task.time_deleted"


@dataclass(frozen=True, slots=True)
class CustomField:
    key: str
    name: str
    type: CustomFieldType
    choices: tuple[str, ...]
    archived: bool


@dataclass(frozen=True, slots=True)
class CustomValue:
    """A task's value of a custom field."""

    key: str
    type: CustomFieldType
    value: str | float
    """A number where the type is one, and otherwise a text."""


@dataclass(frozen=True, slots=True)
class Project:
    id: UUID
    key: str
    name: str
    description: str
    custom_fields: tuple[CustomField, ...]
    archived: bool
    version: int
    """Counts the changes from 1 on."""
    create_time: datetime
    update_time: datetime


@dataclass(frozen=True, slots=True)
class Membership:
    """A project, and the role that one member has in it."""

    project: Project
    role: ProjectRole


@dataclass(frozen=True, slots=True)
class Member:
    project_id: UUID
    account_id: UUID
    role: ProjectRole
    create_time: datetime
    update_time: datetime

    @property
    def id(self) -> UUID:
        """By which it is known in a list of one project's members."""
        return self.account_id


@dataclass(frozen=True, slots=True)
class Task:
    id: UUID
    project_id: UUID
    project_key: str
    number: int
    title: str
    description: str
    state: TaskState
    priority: TaskPriority
    assignee_id: UUID | None
    due_time: datetime | None
    labels: tuple[str, ...]
    parent_id: UUID | None
    blocked_by: tuple[UUID, ...]
    """In the order of their ids."""
    blocking: tuple[UUID, ...]
    """In the order of their ids."""
    custom_values: tuple[CustomValue, ...]
    """In the order of their keys."""
    rank: str
    recurring_task_id: UUID | None
    occurrence_time: datetime | None
    """Of what a recurring task has made, for which of its occurrences."""
    creator_id: UUID | None
    version: int
    """Counts the changes from 1 on."""
    create_time: datetime
    update_time: datetime

    @property
    def key(self) -> str:
        return f"{self.project_key}-{self.number}"


@dataclass(frozen=True, slots=True)
class TaskHead:
    """Which task is in a list, and where."""

    id: UUID
    place: Any
    """Its value in the list's order; where two are equal, their ids decide."""
    state: tuple[Any, ...]
    """Another one after each change of anything that a `Task` has."""


@dataclass(frozen=True, slots=True)
class TaskFilter:
    """Which tasks to list; None, or nothing, means any."""

    project_id: UUID | None = None
    states: tuple[TaskState, ...] = ()
    priorities: tuple[TaskPriority, ...] = ()
    assignee_id: UUID | None = None
    unassigned: bool = False
    labels: tuple[str, ...] = ()
    """All of them."""
    parent_id: UUID | None = None
    top_level: bool = False
    due_start_time: datetime | None = None
    due_end_time: datetime | None = None
    """The first that counts no more."""


@dataclass(frozen=True, slots=True)
class Comment:
    id: UUID
    task_id: UUID
    author_id: UUID
    text: str
    version: int
    """Counts the changes from 1 on."""
    create_time: datetime
    update_time: datetime


@dataclass(frozen=True, slots=True)
class TimeEntry:
    id: UUID
    task_id: UUID
    author_id: UUID
    start_time: datetime
    minutes: int
    note: str
    version: int
    """Counts the changes from 1 on."""
    create_time: datetime
    update_time: datetime


@dataclass(frozen=True, slots=True)
class SavedFilter:
    id: UUID
    account_id: UUID
    name: str
    filter: TaskFilter
    order: TaskOrder
    version: int
    """Counts the changes from 1 on."""
    create_time: datetime
    update_time: datetime


@dataclass(frozen=True, slots=True)
class RecurringTask:
    id: UUID
    project_id: UUID
    title: str
    description: str
    priority: TaskPriority
    assignee_id: UUID | None
    labels: tuple[str, ...]
    rule: str
    """In its canonical form."""
    local_start: datetime
    """Without tzinfo."""
    time_zone: str
    due_after_minutes: int
    """0 means that its tasks have no due time."""
    paused: bool
    next_time: datetime | None
    """When it next has a task made; None where it is paused, or nothing more occurs."""
    version: int
    """Counts the changes from 1 on."""
    create_time: datetime
    update_time: datetime


@dataclass(frozen=True, slots=True)
class FieldChange:
    """A field, and what it was and is, as texts."""

    field: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class Activity:
    """One change: who did what."""

    id: UUID
    project_id: UUID
    task_id: UUID | None
    kind: ActivityKind
    actor_id: UUID | None
    version: int | None
    """Of the task after it, where it was the task itself that changed."""
    changes: tuple[FieldChange, ...]
    create_time: datetime


@dataclass(frozen=True, slots=True)
class Found:
    """A task that was found by words, and how relevant it is."""

    relevance: float
    task: Task

    @property
    def id(self) -> UUID:
        return self.task.id


@dataclass(frozen=True, slots=True)
class TaskAudience:
    """Whom changes are sent to; with nothing set, all of them."""

    account_id: UUID | None = None
    """Only changes in projects that this account is a member of."""
    project_id: UUID | None = None
    """Only changes in this project."""


@dataclass(frozen=True, slots=True)
class TaskChange:
    """One change of a task, or of a comment or a time entry of it."""

    sequence: int
    kind: ActivityKind
    project_id: UUID
    subject: Task | Comment | TimeEntry
    """As it was after the change; of what was deleted, as it was last."""
    members: frozenset[UUID] = field(default=frozenset(), repr=False)
    """Who sees the project, as of when the change was read."""


NO_DUE_TIME = datetime(9998, 12, 31, 23, 59, 59, tzinfo=UTC)
"""What is stored of a task without one, and sorts behind all others."""

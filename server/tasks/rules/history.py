"""What is told of a change: one entry in the activity, and one event with the state after it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson

from server.frame.events import EventType
from storage.frame.records import NOBODY, Event
from storage.tasks.records import (
    Activity,
    ActivityKind,
    Comment,
    CustomField,
    CustomValue,
    FieldChange,
    Member,
    Project,
    RecurringTask,
    Task,
    TimeEntry,
)

Subject = Project | Member | RecurringTask | Task | Comment | TimeEntry

_RECEIVE = ("tasks.receive_events",)
_MAX_SHOWN = 200
"""In characters: of a value before and after a change."""
_NOT_SHOWN = frozenset(
    ("id", "project_id", "task_id", "account_id", "author_id", "version", "create_time", "update_time", "blocking")
)
"""What is no field that anybody changes."""
_WIRE_NAMES = {"blocked_by": "blocked_by_ids"}
_NAMES: Mapping[type, str] = {
    Project: "project",
    Member: "member",
    RecurringTask: "recurring_task",
    Task: "task",
    Comment: "comment",
    TimeEntry: "time_entry",
}
"""What the state of each is called in an event."""

EVENT_TYPES: Mapping[str, EventType] = {
    ActivityKind.PROJECT_CREATED.value: EventType("A project was created.", _RECEIVE),
    ActivityKind.PROJECT_UPDATED.value: EventType("A project was changed.", _RECEIVE),
    ActivityKind.PROJECT_MEMBER_SET.value: EventType("An account became a member, or has another role.", _RECEIVE),
    ActivityKind.PROJECT_MEMBER_REMOVED.value: EventType("An account is no longer a member of a project.", _RECEIVE),
    ActivityKind.PROJECT_RECURRENCE_CREATED.value: EventType("A recurring task was created.", _RECEIVE),
    ActivityKind.PROJECT_RECURRENCE_UPDATED.value: EventType("A recurring task was changed.", _RECEIVE),
    ActivityKind.PROJECT_RECURRENCE_DELETED.value: EventType("A recurring task was deleted.", _RECEIVE),
    ActivityKind.TASK_CREATED.value: EventType("A task was created.", _RECEIVE),
    ActivityKind.TASK_UPDATED.value: EventType("A task was changed.", _RECEIVE),
    ActivityKind.TASK_MOVED.value: EventType("A task was moved within its project.", _RECEIVE),
    ActivityKind.TASK_TRANSFERRED.value: EventType("A task was moved to another project.", _RECEIVE),
    ActivityKind.TASK_COMMENTED.value: EventType("A task was commented on.", _RECEIVE),
    ActivityKind.TASK_COMMENT_UPDATED.value: EventType("A comment was changed.", _RECEIVE),
    ActivityKind.TASK_COMMENT_DELETED.value: EventType("A comment was deleted.", _RECEIVE),
    ActivityKind.TASK_TIME_ADDED.value: EventType("Time was added to a task.", _RECEIVE),
    ActivityKind.TASK_TIME_UPDATED.value: EventType("A time entry was changed.", _RECEIVE),
    ActivityKind.TASK_TIME_DELETED.value: EventType("A time entry was deleted.", _RECEIVE),
}


@dataclass(frozen=True, slots=True)
class Happened:
    """One change of one thing."""

    kind: ActivityKind
    project_id: UUID
    before: Subject | None
    """None where it is new."""
    after: Subject
    """Of what was deleted, as it was last."""
    actor_id: UUID
    """NOBODY where the server did it."""


def told(
    happened: Sequence[Happened], now: datetime, new_id: Callable[[], UUID]
) -> tuple[Sequence[Activity], Sequence[Event]]:
    """What is told of changes, in their order."""
    activities = [_activity(each, now, new_id()) for each in happened]
    return activities, [_event(each, activity) for each, activity in zip(happened, activities, strict=True)]


def _activity(each: Happened, now: datetime, activity_id: UUID) -> Activity:
    after, actor_id = each.after, each.actor_id if each.actor_id != NOBODY else None
    task_id, version = None, None
    if isinstance(after, Task):
        task_id, version = after.id, after.version
    elif isinstance(after, Comment | TimeEntry):
        task_id = after.task_id
    changes = field_changes(each.before, after)
    return Activity(activity_id, each.project_id, task_id, each.kind, actor_id, version, changes, now)


def _event(each: Happened, activity: Activity) -> Event:
    data = {
        "activity_id": activity.id,
        "project_id": activity.project_id,
        "actor_id": activity.actor_id,
        _NAMES[type(each.after)]: each.after,
    }
    subject_id = activity.task_id or activity.project_id
    return Event(each.kind.value, subject_id, orjson.dumps(data).decode(), activity.create_time)


def field_changes(before: Subject | None, after: Subject) -> tuple[FieldChange, ...]:
    """The fields whose values differ; of what is new, those that have one."""
    changes = []
    for name in (each.name for each in fields(after) if each.name not in _NOT_SHOWN):
        texts = [_text(getattr(each, name)) if each is not None else "" for each in (before, after)]
        if before is None or getattr(before, name) != getattr(after, name):
            changes.append(FieldChange(_WIRE_NAMES.get(name, name), *texts))
    return tuple(change for change in changes if before is not None or change.after)


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, tuple):
        value = ", ".join(map(_text, value))
    elif isinstance(value, CustomValue):
        value = f"{value.key}: {value.value}"
    elif isinstance(value, CustomField):
        value = value.key
    elif isinstance(value, datetime):
        value = value.isoformat()
    elif hasattr(value, "name"):
        value = value.name
    text = str(value)
    return text if len(text) <= _MAX_SHOWN else f"{text[: _MAX_SHOWN - 1]}…"

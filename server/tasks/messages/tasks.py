"""Tasks, filters and recurring tasks: messages to plain values, and back."""

import re
from collections.abc import Callable, Mapping
from datetime import date, datetime
from typing import Any
from uuid import UUID

from backroom.tasks.v1 import task_service_pb2, tasks_pb2
from server.frame.caller import Caller
from server.frame.editing import Edit, as_sent, edit_of, etag_of
from server.frame.errors import FieldInvalid
from server.frame.wire import EnumNames, bound_of, id_text, optional_uuid, require, time_of, timestamp
from server.tasks.rules.editing import EditTask, TaskDraft
from server.tasks.rules.recurring import RecurringTaskDraft
from server.tasks.service.moving import MoveTask, Place, Side
from storage.frame.records import ChangeContext
from storage.tasks.records import (
    NO_DUE_TIME,
    CustomFieldType,
    CustomValue,
    Found,
    RecurringTask,
    SavedFilter,
    Task,
    TaskFilter,
    TaskOrder,
    TaskPriority,
    TaskState,
)

_LOCAL = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}")

_STATES = EnumNames(TaskState, tasks_pb2.TaskState)
_PRIORITIES = EnumNames(TaskPriority, tasks_pb2.TaskPriority)
_ORDERS = EnumNames(TaskOrder, tasks_pb2.TaskOrder)


def task_draft(task: tasks_pb2.Task) -> TaskDraft:
    """Raises FieldInvalid where the project or the title is missing, or a value is malformed."""
    require(task, "project_id", "title")
    return TaskDraft(UUID(task.project_id), _by_record({name: read(task) for name, read in _TASK.items()}))


def task_edit(request: task_service_pb2.UpdateTaskRequest, caller: Caller, context: ChangeContext) -> EditTask:
    """Raises FieldInvalid where the task_id is missing, or the mask names a field that cannot be changed."""
    edit = edit_of(request.task, request.update_mask, ("task_id", UUID), _TASK)
    return EditTask(context, caller.account_id, Edit(edit.key, edit.etag, _by_record(edit.values)))


def _by_record(values: Mapping[str, Any]) -> Mapping[str, Any]:
    """By the names that a record has for them."""
    return {"blocked_by" if name == "blocked_by_ids" else name: value for name, value in values.items()}


def _due_time(message: Any) -> datetime | None:
    if not message.HasField("due_time"):
        return None
    time = time_of(message.due_time)
    if time >= NO_DUE_TIME:
        raise FieldInvalid.of("task.due_time", "must be before the end of the year 9998")
    return time


def _custom_values(task: tasks_pb2.Task) -> tuple[CustomValue, ...]:
    return tuple(_custom_value(each, f"task.custom_values[{place}]") for place, each in enumerate(task.custom_values))


def _custom_value(sent: tasks_pb2.CustomValue, path: str) -> CustomValue:
    name = sent.WhichOneof("value")
    assert name is not None  # noqa: S101 - the contract requires one
    value = getattr(sent, name)
    if name == "date":
        value = _date(value, f"{path}.date")
    return CustomValue(sent.key, CustomFieldType(name), value)


def _date(text: str, path: str) -> str:
    try:
        if text == date.fromisoformat(text).isoformat():
            return text
    except ValueError:
        pass
    raise FieldInvalid.of(path, 'must be a day such as "2026-12-24"')


def _labels(message: Any) -> tuple[str, ...]:
    return tuple(dict.fromkeys(message.labels))


def _state(message: Any) -> TaskState:
    return _STATES.find(message.state) or TaskState.OPEN


def _priority(message: Any) -> TaskPriority:
    return _PRIORITIES.find(message.priority) or TaskPriority.NORMAL


def _assignee(message: Any) -> UUID | None:
    return optional_uuid(message.assignee_id)


_TASK: Mapping[str, Callable[[tasks_pb2.Task], Any]] = {
    **as_sent("title", "description"),
    "state": _state,
    "priority": _priority,
    "assignee_id": _assignee,
    "due_time": _due_time,
    "labels": _labels,
    "parent_id": lambda task: optional_uuid(task.parent_id),
    "blocked_by_ids": lambda task: tuple(sorted(set(map(UUID, task.blocked_by_ids)))),
    "custom_values": _custom_values,
}
"""The fields of a task that a caller changes, and how each is read."""


def task(kept: Task) -> tasks_pb2.Task:
    return tasks_pb2.Task(
        task_id=id_text(kept.id),
        project_id=id_text(kept.project_id),
        key=kept.key,
        number=kept.number,
        title=kept.title,
        description=kept.description,
        state=_STATES.wire(kept.state),
        priority=_PRIORITIES.wire(kept.priority),
        assignee_id=id_text(kept.assignee_id),
        due_time=timestamp(kept.due_time),
        labels=kept.labels,
        parent_id=id_text(kept.parent_id),
        blocked_by_ids=map(id_text, kept.blocked_by),
        blocking_ids=map(id_text, kept.blocking),
        custom_values=[
            tasks_pb2.CustomValue(key=each.key, **{each.type.value: each.value})  # type: ignore[arg-type]  # of its type
            for each in kept.custom_values
        ],
        rank=kept.rank,
        recurring_task_id=id_text(kept.recurring_task_id),
        creator_id=id_text(kept.creator_id),
        etag=etag_of(kept),
        create_time=timestamp(kept.create_time),
        update_time=timestamp(kept.update_time),
    )


def listed_task(kept: Task) -> bytes:
    """A task as a part of the answer to ListTasks: such parts one after the other are an answer of all their tasks."""
    return task_service_pb2.ListTasksResponse(tasks=[task(kept)]).SerializeToString()


def found_task(found: Found) -> tasks_pb2.Task:
    return task(found.task)


def task_filter(sent: tasks_pb2.TaskFilter) -> TaskFilter:
    """Raises FieldInvalid where two of its fields allow nothing together."""
    for one, other in (("assignee_id", "unassigned"), ("parent_id", "top_level")):
        if getattr(sent, one) and getattr(sent, other):
            raise FieldInvalid.of(f"filter.{other}", f"does not go with {one}")
    return TaskFilter(
        project_id=optional_uuid(sent.project_id),
        states=tuple(map(_STATES.member, sent.states)),
        priorities=tuple(map(_PRIORITIES.member, sent.priorities)),
        assignee_id=optional_uuid(sent.assignee_id),
        unassigned=sent.unassigned,
        labels=_labels(sent),
        parent_id=optional_uuid(sent.parent_id),
        top_level=sent.top_level,
        due_start_time=bound_of(sent.due_start_time) if sent.HasField("due_start_time") else None,
        due_end_time=bound_of(sent.due_end_time) if sent.HasField("due_end_time") else None,
    )


def order(sent: tasks_pb2.TaskOrder.ValueType) -> TaskOrder:
    return _ORDERS.find(sent) or TaskOrder.CREATE_TIME


def move_task(request: task_service_pb2.MoveTaskRequest, context: ChangeContext) -> MoveTask:
    return MoveTask(context, UUID(request.task_id), request.etag, _place(request), _STATES.find(request.state))


def _place(request: task_service_pb2.MoveTaskRequest) -> Place:
    match request.WhichOneof("place"):
        case "before_id":
            return Place(Side.BEFORE, UUID(request.before_id))
        case "after_id":
            return Place(Side.AFTER, UUID(request.after_id))
    return Place(Side.FIRST if request.edge == tasks_pb2.EDGE_FIRST else Side.LAST)


def saved_filter(kept: SavedFilter) -> tasks_pb2.SavedFilter:
    return tasks_pb2.SavedFilter(
        saved_filter_id=id_text(kept.id),
        name=kept.name,
        filter=_filter_message(kept.filter),
        order=_ORDERS.wire(kept.order),
        etag=etag_of(kept),
        create_time=timestamp(kept.create_time),
        update_time=timestamp(kept.update_time),
    )


def _filter_message(kept: TaskFilter) -> tasks_pb2.TaskFilter:
    return tasks_pb2.TaskFilter(
        project_id=id_text(kept.project_id),
        states=map(_STATES.wire, kept.states),
        priorities=map(_PRIORITIES.wire, kept.priorities),
        assignee_id=id_text(kept.assignee_id),
        unassigned=kept.unassigned,
        labels=kept.labels,
        parent_id=id_text(kept.parent_id),
        top_level=kept.top_level,
        due_start_time=timestamp(kept.due_start_time),
        due_end_time=timestamp(kept.due_end_time),
    )


def saved_filter_edit(request: task_service_pb2.UpdateSavedFilterRequest) -> Edit[UUID]:
    fields: Mapping[str, Callable[[tasks_pb2.SavedFilter], Any]] = {
        **as_sent("name"),
        "filter": lambda sent: task_filter(sent.filter),
        "order": lambda sent: order(sent.order),
    }
    return edit_of(request.saved_filter, request.update_mask, ("saved_filter_id", UUID), fields)


def recurring_task_draft(sent: tasks_pb2.RecurringTask) -> RecurringTaskDraft:
    """Raises FieldInvalid where something is missing, or the local start is malformed."""
    require(sent, "project_id", "title", "rule", "local_start", "time_zone")
    return RecurringTaskDraft(**{name: read(sent) for name, read in _RECURRING_TASK.items()})


def recurring_task_edit(request: task_service_pb2.UpdateRecurringTaskRequest) -> Edit[UUID]:
    return edit_of(request.recurring_task, request.update_mask, ("recurring_task_id", UUID), _RECURRING_TASK)


def _local_start(sent: tasks_pb2.RecurringTask) -> datetime:
    try:
        if _LOCAL.fullmatch(sent.local_start):
            return datetime.fromisoformat(sent.local_start)
    except ValueError:
        pass
    raise FieldInvalid.of("recurring_task.local_start", 'must be a local time such as "2026-07-01T09:00"')


_RECURRING_TASK: Mapping[str, Callable[[tasks_pb2.RecurringTask], Any]] = {
    **as_sent("title", "description", "rule", "time_zone", "due_after_minutes", "paused"),
    "priority": _priority,
    "assignee_id": _assignee,
    "labels": _labels,
    "local_start": _local_start,
}
"""The fields of a recurring task that a caller changes, and how each is read."""


def recurring_task(kept: RecurringTask) -> tasks_pb2.RecurringTask:
    return tasks_pb2.RecurringTask(
        recurring_task_id=id_text(kept.id),
        project_id=id_text(kept.project_id),
        title=kept.title,
        description=kept.description,
        priority=_PRIORITIES.wire(kept.priority),
        assignee_id=id_text(kept.assignee_id),
        labels=kept.labels,
        rule=kept.rule,
        local_start=kept.local_start.isoformat(timespec="minutes"),
        time_zone=kept.time_zone,
        due_after_minutes=kept.due_after_minutes,
        paused=kept.paused,
        next_time=timestamp(kept.next_time),
        etag=etag_of(kept),
        create_time=timestamp(kept.create_time),
        update_time=timestamp(kept.update_time),
    )

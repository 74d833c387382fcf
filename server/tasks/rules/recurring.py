"""When a recurring task next has a task created."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

from server.frame.errors import FieldInvalid
from server.frame.recurrence import RecurrenceInvalid, Series, read_rule
from server.tasks.rules.editing import TaskDraft
from storage.tasks.records import RecurringTask, TaskPriority, TaskState

_PATHS = {"start": "local_start"}


@dataclass(frozen=True, slots=True, kw_only=True)
class RecurringTaskDraft:
    """A recurring task as a caller describes it."""

    title: str
    description: str
    priority: TaskPriority
    assignee_id: UUID | None
    labels: tuple[str, ...]
    rule: str
    local_start: datetime
    time_zone: str
    due_after_minutes: int
    paused: bool

    def as_recurring_task(self, recurring_task_id: UUID, project_id: UUID, now: datetime) -> RecurringTask:
        """Raises FieldInvalid where nothing occurs by the rule."""
        values = {name: getattr(self, name) for name in self.__dataclass_fields__}
        made = RecurringTask(
            id=recurring_task_id,
            project_id=project_id,
            next_time=None,
            version=1,
            create_time=now,
            update_time=now,
            **values,
        )
        return scheduled(made, now)


def scheduled(recurring: RecurringTask, now: datetime) -> RecurringTask:
    """With its rule in the canonical form, and the first occurrence after now; raises FieldInvalid."""
    try:
        series = Series.of(recurring.rule, recurring.local_start, recurring.time_zone)
    except RecurrenceInvalid as invalid:
        path = _PATHS.get(invalid.field, invalid.field)
        raise FieldInvalid.of(f"recurring_task.{path}", invalid.description) from None
    following = None if recurring.paused else series.next_after(now)
    return replace(recurring, rule=str(series.rule), next_time=following.start if following else None)


def advanced(recurring: RecurringTask) -> RecurringTask:
    """After its next occurrence has had its task; that is no change by anybody."""
    assert recurring.next_time is not None  # noqa: S101 - it was due
    series = Series(read_rule(recurring.rule), recurring.local_start, recurring.time_zone)
    following = series.next_after(recurring.next_time)
    return replace(recurring, next_time=following.start if following else None)


def occurrence(recurring: RecurringTask, *, assignable: bool) -> TaskDraft:
    """The task of its next occurrence; assigned to nobody where the assignee is no member any more."""
    assert recurring.next_time is not None  # noqa: S101 - it was due
    due_after = timedelta(minutes=recurring.due_after_minutes)
    return TaskDraft(
        recurring.project_id,
        {
            "title": recurring.title,
            "description": recurring.description,
            "state": TaskState.OPEN,
            "priority": recurring.priority,
            "assignee_id": recurring.assignee_id if assignable else None,
            "due_time": recurring.next_time + due_after if due_after else None,
            "labels": recurring.labels,
            "parent_id": None,
            "blocked_by": (),
            "recurring_task_id": recurring.id,
            "occurrence_time": recurring.next_time,
        },
    )

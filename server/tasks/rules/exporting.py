"""Tasks as CSV."""

from collections.abc import Sequence
from datetime import datetime

from server.frame import csv_text
from storage.tasks.records import Task

COLUMNS = (
    *("key", "title", "state", "priority", "assignee_id", "due_time", "labels", "parent_id", "blocked_by_ids"),
    *("custom_values", "creator_id", "create_time", "update_time", "description", "task_id", "project_id"),
)


def csv_of(tasks: Sequence[Task], *, header: bool) -> bytes:
    """A row for each; before a text that could be a formula there is an apostrophe."""
    rows = [[csv_text.harmless(cell) for cell in _cells(task)] for task in tasks]
    return csv_text.csv_of([COLUMNS, *rows] if header else rows)


def _cells(task: Task) -> Sequence[str]:
    custom = ", ".join(f"{each.key}: {each.value}" for each in task.custom_values)
    return (
        *(task.key, task.title, task.state.name, task.priority.name, str(task.assignee_id or "")),
        *(_time(task.due_time), ", ".join(task.labels), str(task.parent_id or "")),
        *(", ".join(map(str, task.blocked_by)), custom, str(task.creator_id or "")),
        *(_time(task.create_time), _time(task.update_time), task.description, str(task.id), str(task.project_id)),
    )


def _time(time: datetime | None) -> str:
    return time.isoformat() if time else ""

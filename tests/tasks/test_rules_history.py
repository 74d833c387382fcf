"""What is told of a change: an entry in the activity, and an event with the state after it."""

from dataclasses import replace
from datetime import UTC, datetime
from itertools import count
from uuid import UUID, uuid4

import orjson

from server.tasks.rules.exporting import COLUMNS, csv_of
from server.tasks.rules.history import EVENT_TYPES, Happened, field_changes, told
from storage.frame.records import NOBODY
from storage.tasks.records import ActivityKind, CustomFieldType, CustomValue, Task, TaskPriority, TaskState

_NOW = datetime(2026, 1, 1, tzinfo=UTC)
_TASK = Task(
    id=UUID(int=1),
    project_id=UUID(int=2),
    project_key="WEB",
    number=7,
    title="Title",
    description="",
    state=TaskState.OPEN,
    priority=TaskPriority.NORMAL,
    assignee_id=None,
    due_time=None,
    labels=(),
    parent_id=None,
    blocked_by=(),
    blocking=(),
    custom_values=(),
    rank="V",
    recurring_task_id=None,
    occurrence_time=None,
    creator_id=None,
    version=3,
    create_time=_NOW,
    update_time=_NOW,
)


def test_every_kind_of_change_is_a_type_of_event() -> None:
    """Under the same name, and none is given away with another permission than the one for all projects."""
    assert [*EVENT_TYPES] == [kind.value for kind in ActivityKind]
    assert {each.permissions for each in EVENT_TYPES.values()} == {("tasks.receive_events",)}


def test_a_change_tells_what_each_field_was_and_is() -> None:
    """As texts that are not longer than 200 characters; what nobody changes is left out."""
    values = (CustomValue("size", CustomFieldType.NUMBER, 2.5),)
    after = replace(
        _TASK, title="x" * 300, labels=("a", "b"), due_time=_NOW, custom_values=values, version=4, update_time=_NOW
    )
    found = {change.field: (change.before, change.after) for change in field_changes(_TASK, after)}
    assert found == {
        "title": ("Title", "x" * 199 + "…"),
        "labels": ("", "a, b"),
        "due_time": ("", "2026-01-01T00:00:00+00:00"),
        "custom_values": ("", "size: 2.5"),
    }


def test_an_entry_and_its_event_name_each_other() -> None:
    """The event has the whole state; the server itself is no actor."""
    ids = map(UUID, map("{:032x}".format, count(100)))
    actor_id = uuid4()
    happened = [
        Happened(ActivityKind.TASK_CREATED, _TASK.project_id, None, _TASK, NOBODY),
        Happened(ActivityKind.TASK_MOVED, _TASK.project_id, _TASK, replace(_TASK, rank="k", version=4), actor_id),
    ]
    activities, events = told(happened, _NOW, ids.__next__)
    assert [(each.version, each.actor_id) for each in activities] == [(3, None), (4, actor_id)]
    assert [event.type for event in events] == ["task.created", "task.moved"]
    for activity, event in zip(activities, events, strict=True):
        data = orjson.loads(event.data)
        assert (data["activity_id"], data["task"]["version"]) == (str(activity.id), activity.version)
        assert event.subject_id == _TASK.id


def test_no_cell_of_an_export_begins_as_a_formula_does() -> None:
    """Whatever field it is from; line breaks and quotes stay inside their cell."""
    hostile = ("=1", "+1", "-1", "@x", "\t=1", "\r=1")
    for text in hostile:
        task = replace(_TASK, title=text, description=text, labels=(text,))
        lines = csv_of([task], header=False).decode()
        assert not any(cell.startswith(text) for cell in lines.split(","))
    assert csv_of([], header=True) == (",".join(COLUMNS) + "\r\n").encode()
    quoted = csv_of([replace(_TASK, title='a "b",\nc')], header=False).decode()
    assert '"a ""b"",\nc"' in quoted

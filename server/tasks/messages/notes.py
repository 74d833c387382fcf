"""Comments, time entries and what was changed: messages to plain values, and back."""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from backroom.tasks.v1 import notes_pb2, task_service_pb2
from server.frame.editing import Edit, as_sent, edit_of, etag_of
from server.frame.wire import EnumNames, id_text, require, time_of, timestamp
from storage.tasks.records import Activity, ActivityKind, Comment, TimeEntry

_KINDS = EnumNames(ActivityKind, notes_pb2.ActivityKind)


def comment(kept: Comment) -> notes_pb2.Comment:
    return notes_pb2.Comment(
        comment_id=id_text(kept.id),
        task_id=id_text(kept.task_id),
        author_id=id_text(kept.author_id),
        text=kept.text,
        etag=etag_of(kept),
        create_time=timestamp(kept.create_time),
        update_time=timestamp(kept.update_time),
    )


def comment_values(sent: notes_pb2.Comment) -> Mapping[str, Any]:
    """Raises FieldInvalid where the task is missing."""
    require(sent, "task_id")
    return {name: read(sent) for name, read in _COMMENT.items()}


def comment_edit(request: task_service_pb2.UpdateCommentRequest) -> Edit[UUID]:
    return edit_of(request.comment, request.update_mask, ("comment_id", UUID), _COMMENT)


_COMMENT = as_sent("text")


def time_entry(kept: TimeEntry) -> notes_pb2.TimeEntry:
    return notes_pb2.TimeEntry(
        time_entry_id=id_text(kept.id),
        task_id=id_text(kept.task_id),
        author_id=id_text(kept.author_id),
        start_time=timestamp(kept.start_time),
        minutes=kept.minutes,
        note=kept.note,
        etag=etag_of(kept),
        create_time=timestamp(kept.create_time),
        update_time=timestamp(kept.update_time),
    )


def time_entry_values(sent: notes_pb2.TimeEntry, now: datetime) -> Mapping[str, Any]:
    """Of one without a start, which ends now; raises FieldInvalid where the task is missing."""
    require(sent, "task_id")
    started = time_of(sent.start_time) if sent.HasField("start_time") else now - timedelta(minutes=sent.minutes)
    return {"start_time": started, "minutes": sent.minutes, "note": sent.note}


def time_entry_edit(request: task_service_pb2.UpdateTimeEntryRequest) -> Edit[UUID]:
    return edit_of(request.time_entry, request.update_mask, ("time_entry_id", UUID), _TIME_ENTRY)


def _start_time(sent: notes_pb2.TimeEntry) -> datetime:
    require(sent, "start_time")
    return time_of(sent.start_time)


_TIME_ENTRY: Mapping[str, Callable[[notes_pb2.TimeEntry], Any]] = {
    **as_sent("minutes", "note"),
    "start_time": _start_time,
}


def activity(kept: Activity) -> notes_pb2.Activity:
    return notes_pb2.Activity(
        activity_id=id_text(kept.id),
        project_id=id_text(kept.project_id),
        task_id=id_text(kept.task_id),
        kind=_KINDS.wire(kept.kind),
        actor_id=id_text(kept.actor_id),
        changes=[
            notes_pb2.FieldChange(field=each.field, before=each.before, after=each.after) for each in kept.changes
        ],
        create_time=timestamp(kept.create_time),
    )


def kind(kept: ActivityKind) -> notes_pb2.ActivityKind.ValueType:
    return _KINDS.wire(kept)

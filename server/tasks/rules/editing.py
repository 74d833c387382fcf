"""What tasks become: new ones, changed ones, and ones that go to another project."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from server.frame.editing import Edit, changed, check_etag
from server.frame.errors import FieldInvalid, PreconditionViolation
from server.tasks.errors import CustomFieldConflict, TaskDoesNotFit
from storage.frame.records import ChangeContext
from storage.tasks.records import CustomField, CustomFieldType, CustomValue, Project, Task

MOST_ABOVE = 10
"""Tasks above one."""
MOST_BLOCKED = 50
"""Tasks that wait for one."""
TEXTS = ("title", "description")
"""Fields whose words are searched."""


@dataclass(frozen=True, slots=True)
class EditTask:
    """A request to change one task."""

    context: ChangeContext
    account_id: UUID
    edit: Edit[UUID]

    @property
    def links(self) -> bool:
        """Whether it may put the task above, below, before or behind others."""
        return not self.edit.values.keys().isdisjoint(("parent_id", "blocked_by"))


@dataclass(frozen=True, slots=True)
class TaskDraft:
    """A task as a caller describes it."""

    project_id: UUID
    values: Mapping[str, Any]
    """By the names of a task's fields."""

    @property
    def assignee(self) -> tuple[UUID, UUID] | None:
        """The project and the account that it is assigned to."""
        assignee_id = self.values["assignee_id"]
        return (self.project_id, assignee_id) if assignee_id else None

    def as_task(self, task_id: UUID, creator_id: UUID | None, project: Project, now: datetime) -> Task:
        """Without its number and its rank; raises FieldInvalid where a custom value is not one of the project."""
        values = {
            "recurring_task_id": None,
            "occurrence_time": None,
            **self.values,
            "custom_values": custom_values(self.values.get("custom_values", ()), project.custom_fields, ()),
        }
        return Task(
            id=task_id,
            project_id=project.id,
            project_key=project.key,
            number=0,
            blocking=(),
            rank="",
            creator_id=creator_id,
            version=1,
            create_time=now,
            update_time=now,
            **values,
        )


@dataclass(frozen=True, slots=True)
class MakeTask:
    """A request to create a task."""

    context: ChangeContext
    draft: TaskDraft


def numbered(task: Task, number: int, rank: str) -> Task:
    return replace(task, number=number, rank=rank)


def edited(task: Task, edit: Edit[UUID], project: Project, now: datetime) -> Task:
    """The task with the new values; raises EtagMismatch, FieldInvalid."""
    check_etag(task, edit)
    values = dict(edit.values)
    if "custom_values" in values:
        values["custom_values"] = custom_values(values["custom_values"], project.custom_fields, task.custom_values)
    if values.get("title", task.title) == "":
        raise FieldInvalid.of("task.title", "is required")
    return changed(task, values, now)


def custom_values(
    given: Sequence[CustomValue], declared: Sequence[CustomField], present: Sequence[CustomValue]
) -> tuple[CustomValue, ...]:
    """Values in the order of their keys; of an archived field, the present one alone may be kept.

    Raises FieldInvalid where one is of no field, or is not of its type, or two are of one field.
    """
    by_key = {each.key: each for each in declared}
    found: dict[str, CustomValue] = {}
    for place, value in enumerate(given):
        path, custom_field = f"task.custom_values[{place}]", by_key.get(value.key)
        if custom_field is None or (custom_field.archived and value not in present):
            raise FieldInvalid.of(f"{path}.key", "is not the key of a custom field that the project has open")
        if value.key in found:
            raise FieldInvalid.of(f"{path}.key", "is there twice")
        if value.type is not custom_field.type:
            raise FieldInvalid.of(path, f"must be of the field's type, {custom_field.type.name}")
        if value.type is CustomFieldType.CHOICE and value.value not in custom_field.choices:
            raise FieldInvalid.of(f"{path}.choice", "is none of the field's choices")
        found[value.key] = value
    return tuple(found[key] for key in sorted(found))


def check_custom_fields(declared: Sequence[CustomField], before: Sequence[CustomField]) -> None:
    """Raises FieldInvalid where two have one key, and CustomFieldConflict where one that was there is gone."""
    by_key = {each.key: each for each in declared}
    if len(by_key) < len(declared):
        raise FieldInvalid.of("project.custom_fields", "must have keys of their own")
    for place, each in enumerate(declared):
        if (each.type is CustomFieldType.CHOICE) != bool(each.choices):
            raise FieldInvalid.of(
                f"project.custom_fields[{place}].choices", "are needed by a CHOICE, and by no other type"
            )
    for was in before:
        now = by_key.get(was.key)
        if now is None or now.type is not was.type or not set(was.choices) <= set(now.choices):
            raise CustomFieldConflict(key=was.key)


def check_fit(task: Task, target: Project, *, assignable: bool, parts: bool) -> None:
    """Whether a task can go to another project: `assignable` is whether its assignee is a member there,
    and `parts` whether others are part of it.

    Raises TaskDoesNotFit, which names all that does not fit.
    """
    wrong = []
    if task.parent_id is not None or parts:
        wrong.append(("PARENT", "parent_id", "the task is part of another one, or others are part of it"))
    if task.blocked_by or task.blocking:
        wrong.append(("BLOCKER", "blocked_by_ids", "the task waits for another one, or others wait for it"))
    if task.assignee_id is not None and not assignable:
        wrong.append(("ASSIGNEE", "assignee_id", "the assignee is not a member of the other project"))
    declared = {(each.key, each.type): each for each in target.custom_fields}
    for value in task.custom_values:
        there = declared.get((value.key, value.type))
        if there is None or (value.type is CustomFieldType.CHOICE and value.value not in there.choices):
            wrong.append(("CUSTOM_FIELD", value.key, "the other project has no such custom field, or no such choice"))
    if wrong:
        raise TaskDoesNotFit(preconditions=[PreconditionViolation(*each) for each in wrong])

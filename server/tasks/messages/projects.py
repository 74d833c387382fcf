"""Projects and their members: messages to plain values, and back."""

import re
from collections.abc import Callable, Mapping
from typing import Any
from uuid import UUID

from backroom.tasks.v1 import projects_pb2, task_service_pb2
from server.frame.editing import Edit, as_sent, edit_of, etag_of
from server.frame.errors import FieldInvalid
from server.frame.wire import EnumNames, id_text, require, timestamp
from server.tasks.service.projects import ProjectDraft
from storage.tasks.records import CustomField, CustomFieldType, Member, Membership, ProjectRole

_KEY = re.compile(r"[A-Z][A-Z0-9]{1,9}")

_ROLES = EnumNames(ProjectRole, projects_pb2.ProjectRole)
_TYPES = EnumNames(CustomFieldType, projects_pb2.CustomFieldType)


def project_draft(project: projects_pb2.Project) -> ProjectDraft:
    """Raises FieldInvalid where the key or the name is missing, or the key is malformed."""
    require(project, "key", "name")
    if not _KEY.fullmatch(project.key):
        raise FieldInvalid.of("project.key", "must be 2 to 10 capitals and digits, the first of which is a letter")
    return ProjectDraft(key=project.key, **{name: read(project) for name, read in _PROJECT.items()})


def project_edit(request: task_service_pb2.UpdateProjectRequest) -> Edit[UUID]:
    return edit_of(request.project, request.update_mask, ("project_id", UUID), _PROJECT)


def _custom_fields(project: projects_pb2.Project) -> tuple[CustomField, ...]:
    return tuple(
        CustomField(each.key, each.name, _TYPES.member(each.type), tuple(dict.fromkeys(each.choices)), each.archived)
        for each in project.custom_fields
    )


_PROJECT: Mapping[str, Callable[[projects_pb2.Project], Any]] = {
    **as_sent("name", "description", "archived"),
    "custom_fields": _custom_fields,
}
"""The fields of a project that a caller changes, and how each is read."""


def project(kept: Membership) -> projects_pb2.Project:
    found = kept.project
    return projects_pb2.Project(
        project_id=id_text(found.id),
        key=found.key,
        name=found.name,
        description=found.description,
        custom_fields=[
            projects_pb2.CustomField(
                key=each.key, name=each.name, type=_TYPES.wire(each.type), choices=each.choices, archived=each.archived
            )
            for each in found.custom_fields
        ],
        archived=found.archived,
        role=_ROLES.wire(kept.role),
        etag=etag_of(found),
        create_time=timestamp(found.create_time),
        update_time=timestamp(found.update_time),
    )


def role(sent: projects_pb2.ProjectRole.ValueType) -> ProjectRole:
    return _ROLES.member(sent)


def member(kept: Member) -> projects_pb2.Member:
    return projects_pb2.Member(
        project_id=id_text(kept.project_id),
        account_id=id_text(kept.account_id),
        role=_ROLES.wire(kept.role),
        create_time=timestamp(kept.create_time),
        update_time=timestamp(kept.update_time),
    )

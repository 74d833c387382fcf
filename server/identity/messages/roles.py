from collections.abc import Callable, Mapping
from typing import Any

from backroom.identity.v1 import access_service_pb2, roles_pb2
from server.frame.editing import Edit, edit_of
from server.frame.wire import timestamp
from server.identity.rules.roles import KnownRole, RoleDraft

_EDITABLE: Mapping[str, Callable[[roles_pb2.Role], Any]] = {
    "description": lambda role: role.description,
    "permissions": lambda role: tuple(sorted(role.permissions)),
}
"""The fields that an update_mask may name."""


def role(known: KnownRole) -> roles_pb2.Role:
    return roles_pb2.Role(
        name=known.name,
        description=known.description,
        permissions=known.permissions,
        built_in=known.built_in,
        etag=known.etag,
        create_time=timestamp(known.create_time),
        update_time=timestamp(known.update_time),
    )


def role_draft(message: roles_pb2.Role) -> RoleDraft:
    return RoleDraft(message.name, message.description, tuple(sorted(message.permissions)))


def role_edit(request: access_service_pb2.UpdateRoleRequest) -> Edit[str]:
    """Raises FieldInvalid where the mask names a field that cannot be changed."""
    return edit_of(request.role, request.update_mask, ("name", str), _EDITABLE)

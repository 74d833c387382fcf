from backroom.identity.v1 import access_service_pb2, roles_pb2
from server.frame.wire import timestamp
from server.identity.rules.roles import KnownRole, RoleDraft, RoleEdit


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


def role_edit(request: access_service_pb2.UpdateRoleRequest) -> RoleEdit:
    paths = set(request.update_mask.paths)
    return RoleEdit(
        request.role.name,
        request.role.etag or None,
        request.role.description if "description" in paths else None,
        tuple(sorted(request.role.permissions)) if "permissions" in paths else None,
    )

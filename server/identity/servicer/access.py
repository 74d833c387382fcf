from uuid import UUID

from backroom.identity.v1 import access_service_pb2 as pb
from backroom.identity.v1 import access_service_pb2_grpc
from server.frame.call import Call
from server.frame.paging import by_columns, page_by, page_of
from server.frame.wire import time_of, timestamp
from server.identity import messages
from server.identity.service import AccessControl, ApiKeys, Roles

_BY_NAME = by_columns(lambda role: (0 if role.built_in else 1, role.name), int, str)
"""Those that are built in come first."""


class AccessServicer(access_service_pb2_grpc.AccessServiceServicer):
    def __init__(self, access: AccessControl, roles: Roles, keys: ApiKeys) -> None:
        self._access = access
        self._roles = roles
        self._keys = keys

    async def GrantRole(self, request: pb.GrantRoleRequest, call: Call) -> pb.GrantRoleResponse:
        change = call.change_context(request)
        roles = await self._access.grant(call.caller, UUID(request.account_id), request.role, change)
        return pb.GrantRoleResponse(roles=roles)

    async def RevokeRole(self, request: pb.RevokeRoleRequest, call: Call) -> pb.RevokeRoleResponse:
        change = call.change_context(request)
        roles = await self._access.revoke(call.caller, UUID(request.account_id), request.role, change)
        return pb.RevokeRoleResponse(roles=roles)

    async def ListUsers(self, request: pb.ListUsersRequest, call: Call) -> pb.ListUsersResponse:
        page = page_of(request)
        found = await self._access.list_users(role=request.role or None, after=page.after, limit=page.limit)
        users, next_page_token = page.of(found, messages.user)
        return pb.ListUsersResponse(users=users, next_page_token=next_page_token)

    async def ListServiceAccounts(
        self, request: pb.ListServiceAccountsRequest, call: Call
    ) -> pb.ListServiceAccountsResponse:
        page = page_of(request)
        found = await self._access.list_services(after=page.after, limit=page.limit)
        services, next_page_token = page.of(found, messages.service_account)
        return pb.ListServiceAccountsResponse(service_accounts=services, next_page_token=next_page_token)

    async def DisableAccount(self, request: pb.DisableAccountRequest, call: Call) -> pb.DisableAccountResponse:
        change = call.change_context(request)
        await self._access.disable(call.caller, UUID(request.account_id), change)
        return pb.DisableAccountResponse()

    async def EnableAccount(self, request: pb.EnableAccountRequest, call: Call) -> pb.EnableAccountResponse:
        change = call.change_context(request)
        await self._access.enable(call.caller, UUID(request.account_id), change)
        return pb.EnableAccountResponse()

    async def CreateServiceAccount(
        self, request: pb.CreateServiceAccountRequest, call: Call
    ) -> pb.CreateServiceAccountResponse:
        change = call.change_context(request)
        wanted = request.service_account
        account, secret = await self._keys.create_account(call.caller, wanted.name, wanted.roles, change)
        return pb.CreateServiceAccountResponse(service_account=messages.service_account(account), secret=secret)

    async def ExchangeKey(self, request: pb.ExchangeKeyRequest, call: Call) -> pb.ExchangeKeyResponse:
        access_token, expire_time = await self._keys.exchange(request.key, call.change_context(request))
        return pb.ExchangeKeyResponse(access_token=access_token, expire_time=timestamp(expire_time))

    async def CreateKey(self, request: pb.CreateKeyRequest, call: Call) -> pb.CreateKeyResponse:
        change = call.change_context(request)
        wanted = request.key
        expire_time = time_of(wanted.expire_time) if wanted.HasField("expire_time") else None
        account_id = UUID(wanted.service_account_id)
        key, secret = await self._keys.create(call.caller, account_id, expire_time, change)
        return pb.CreateKeyResponse(key=messages.key(key), secret=secret)

    async def ListKeys(self, request: pb.ListKeysRequest, call: Call) -> pb.ListKeysResponse:
        page = page_of(request)
        found = await self._keys.list_live(UUID(request.service_account_id), after=page.after, limit=page.limit)
        keys, next_page_token = page.of(found, messages.key)
        return pb.ListKeysResponse(keys=keys, next_page_token=next_page_token)

    async def DeleteKey(self, request: pb.DeleteKeyRequest, call: Call) -> pb.DeleteKeyResponse:
        change = call.change_context(request)
        await self._keys.delete(call.caller, UUID(request.key_id), change)
        return pb.DeleteKeyResponse()

    async def CreateRole(self, request: pb.CreateRoleRequest, call: Call) -> pb.CreateRoleResponse:
        change = call.change_context(request)
        role = await self._roles.create(call.caller, messages.role_draft(request.role), change)
        return pb.CreateRoleResponse(role=messages.role(role))

    async def GetRole(self, request: pb.GetRoleRequest, call: Call) -> pb.GetRoleResponse:
        return pb.GetRoleResponse(role=messages.role(await self._roles.get(request.name)))

    async def ListRoles(self, request: pb.ListRolesRequest, call: Call) -> pb.ListRolesResponse:
        page = page_by(_BY_NAME, request)
        found = await self._roles.list_by_name(after=page.after, limit=page.limit)
        roles, next_page_token = page.of(found, messages.role)
        return pb.ListRolesResponse(roles=roles, next_page_token=next_page_token)

    async def UpdateRole(self, request: pb.UpdateRoleRequest, call: Call) -> pb.UpdateRoleResponse:
        change = call.change_context(request)
        role = await self._roles.edit(call.caller, messages.role_edit(request), change)
        return pb.UpdateRoleResponse(role=messages.role(role))

    async def DeleteRole(self, request: pb.DeleteRoleRequest, call: Call) -> pb.DeleteRoleResponse:
        change = call.change_context(request)
        await self._roles.delete(call.caller, request.name, change, force=request.force)
        return pb.DeleteRoleResponse()

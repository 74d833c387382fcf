from typing import Any
from uuid import UUID

from backroom.identity.v1 import access_service_pb2 as pb
from backroom.identity.v1 import access_service_pb2_grpc
from server.frame.call import caller_of
from server.frame.paging import page_of
from server.frame.repeating import ask_of
from server.frame.wire import time_of, timestamp
from server.identity import messages
from server.identity.service import AccessControl, ApiKeys, Roles


class AccessServicer(access_service_pb2_grpc.AccessServiceServicer):
    def __init__(self, access: AccessControl, roles: Roles, keys: ApiKeys) -> None:
        self._access = access
        self._roles = roles
        self._keys = keys

    async def GrantRole(self, request: pb.GrantRoleRequest, context: Any) -> pb.GrantRoleResponse:
        ask = ask_of(context, request)
        roles = await self._access.grant(caller_of(context), UUID(request.account_id), request.role, ask)
        return pb.GrantRoleResponse(roles=roles)

    async def RevokeRole(self, request: pb.RevokeRoleRequest, context: Any) -> pb.RevokeRoleResponse:
        ask = ask_of(context, request)
        roles = await self._access.revoke(caller_of(context), UUID(request.account_id), request.role, ask)
        return pb.RevokeRoleResponse(roles=roles)

    async def ListUsers(self, request: pb.ListUsersRequest, context: Any) -> pb.ListUsersResponse:
        page = page_of(request)
        found = await self._access.list_users(role=request.role or None, after=page.by_time(), limit=page.limit)
        users, next_page_token = page.told(found, lambda each: (each.create_time, each.id), messages.user)
        return pb.ListUsersResponse(users=users, next_page_token=next_page_token)

    async def ListServiceAccounts(
        self, request: pb.ListServiceAccountsRequest, context: Any
    ) -> pb.ListServiceAccountsResponse:
        page = page_of(request)
        found = await self._access.list_services(after=page.by_time(), limit=page.limit)
        services, next_page_token = page.told(found, lambda each: (each.create_time, each.id), messages.service_account)
        return pb.ListServiceAccountsResponse(service_accounts=services, next_page_token=next_page_token)

    async def DisableAccount(self, request: pb.DisableAccountRequest, context: Any) -> pb.DisableAccountResponse:
        ask = ask_of(context, request)
        await self._access.disable(caller_of(context), UUID(request.account_id), ask)
        return pb.DisableAccountResponse()

    async def EnableAccount(self, request: pb.EnableAccountRequest, context: Any) -> pb.EnableAccountResponse:
        ask = ask_of(context, request)
        await self._access.enable(caller_of(context), UUID(request.account_id), ask)
        return pb.EnableAccountResponse()

    async def CreateServiceAccount(
        self, request: pb.CreateServiceAccountRequest, context: Any
    ) -> pb.CreateServiceAccountResponse:
        ask = ask_of(context, request)
        wanted = request.service_account
        account, secret = await self._keys.create_account(caller_of(context), wanted.name, wanted.roles, ask)
        return pb.CreateServiceAccountResponse(service_account=messages.service_account(account), secret=secret)

    async def ExchangeKey(self, request: pb.ExchangeKeyRequest, context: Any) -> pb.ExchangeKeyResponse:
        access_token, expire_time = await self._keys.exchange(request.key, ask_of(context, request))
        return pb.ExchangeKeyResponse(access_token=access_token, expire_time=timestamp(expire_time))

    async def CreateKey(self, request: pb.CreateKeyRequest, context: Any) -> pb.CreateKeyResponse:
        ask = ask_of(context, request)
        wanted = request.key
        expire_time = time_of(wanted.expire_time) if wanted.HasField("expire_time") else None
        account_id = UUID(wanted.service_account_id)
        key, secret = await self._keys.create(caller_of(context), account_id, expire_time, ask)
        return pb.CreateKeyResponse(key=messages.key(key), secret=secret)

    async def ListKeys(self, request: pb.ListKeysRequest, context: Any) -> pb.ListKeysResponse:
        page = page_of(request)
        found = await self._keys.list_live(UUID(request.service_account_id), after=page.by_time(), limit=page.limit)
        keys, next_page_token = page.told(found, lambda each: (each.create_time, each.id), messages.key)
        return pb.ListKeysResponse(keys=keys, next_page_token=next_page_token)

    async def DeleteKey(self, request: pb.DeleteKeyRequest, context: Any) -> pb.DeleteKeyResponse:
        ask = ask_of(context, request)
        await self._keys.delete(caller_of(context), UUID(request.key_id), ask)
        return pb.DeleteKeyResponse()

    async def CreateRole(self, request: pb.CreateRoleRequest, context: Any) -> pb.CreateRoleResponse:
        ask = ask_of(context, request)
        role = await self._roles.create(caller_of(context), messages.role_draft(request.role), ask)
        return pb.CreateRoleResponse(role=messages.role(role))

    async def GetRole(self, request: pb.GetRoleRequest, context: Any) -> pb.GetRoleResponse:
        return pb.GetRoleResponse(role=messages.role(await self._roles.get(request.name)))

    async def ListRoles(self, request: pb.ListRolesRequest, context: Any) -> pb.ListRolesResponse:
        page = page_of(request)
        after = page.key(int, str)
        found = await self._roles.list_by_name(after=(after[0], after[1]) if after else None, limit=page.limit)
        roles, next_page_token = page.told(found, lambda role: (0 if role.built_in else 1, role.name), messages.role)
        return pb.ListRolesResponse(roles=roles, next_page_token=next_page_token)

    async def UpdateRole(self, request: pb.UpdateRoleRequest, context: Any) -> pb.UpdateRoleResponse:
        ask = ask_of(context, request)
        role = await self._roles.edit(caller_of(context), messages.role_edit(request), ask)
        return pb.UpdateRoleResponse(role=messages.role(role))

    async def DeleteRole(self, request: pb.DeleteRoleRequest, context: Any) -> pb.DeleteRoleResponse:
        ask = ask_of(context, request)
        await self._roles.delete(caller_of(context), request.name, ask, force=request.force)
        return pb.DeleteRoleResponse()

"""identity on the wire: each method takes a message apart, calls one use case, and puts the answer together."""

from datetime import datetime
from typing import Any
from uuid import UUID

from backroom.identity.v1 import access_service_pb2 as access_pb
from backroom.identity.v1 import access_service_pb2_grpc, identity_service_pb2_grpc
from backroom.identity.v1 import identity_service_pb2 as identity_pb
from server.frame.call import caller_of
from server.frame.paging import page_of
from server.frame.repeating import key_of
from server.frame.wire import timestamp
from server.identity import messages
from server.identity.roles import permissions_of
from server.identity.service import AccessControl, Accounts, Sessions
from server.identity.tokens import Secrets
from storage.identity.records import AccountKind


class IdentityServicer(identity_service_pb2_grpc.IdentityServiceServicer):
    def __init__(self, accounts: Accounts, sessions: Sessions, secrets: Secrets) -> None:
        self._accounts = accounts
        self._sessions = sessions
        self._secrets = secrets

    async def Register(self, request: identity_pb.RegisterRequest, context: Any) -> identity_pb.RegisterResponse:
        key = key_of(caller_of(context), request, secret=await self._secrets.request_secret())
        account = await self._accounts.register(request.email, request.password, request.display_name, key)
        return identity_pb.RegisterResponse(user=messages.user(account))

    async def Login(self, request: identity_pb.LoginRequest, context: Any) -> identity_pb.LoginResponse:
        signed_in = await self._sessions.login(request.email, request.password)
        return identity_pb.LoginResponse(tokens=messages.tokens(signed_in))

    async def Refresh(self, request: identity_pb.RefreshRequest, context: Any) -> identity_pb.RefreshResponse:
        signed_in = await self._sessions.refresh(request.refresh_token)
        return identity_pb.RefreshResponse(tokens=messages.tokens(signed_in))

    async def Logout(self, request: identity_pb.LogoutRequest, context: Any) -> identity_pb.LogoutResponse:
        await self._sessions.logout(request.refresh_token)
        return identity_pb.LogoutResponse()

    async def GetMe(self, request: identity_pb.GetMeRequest, context: Any) -> identity_pb.GetMeResponse:
        account = await self._accounts.get(caller_of(context))
        permissions = sorted(permissions_of(account.roles))
        if account.kind is AccountKind.PERSON:
            return identity_pb.GetMeResponse(user=messages.user(account), permissions=permissions)
        return identity_pb.GetMeResponse(service_account=messages.service_account(account), permissions=permissions)

    async def ChangePassword(
        self, request: identity_pb.ChangePasswordRequest, context: Any
    ) -> identity_pb.ChangePasswordResponse:
        caller = caller_of(context)
        key = key_of(caller, request, secret=await self._secrets.request_secret())
        await self._accounts.change_password(caller, request.current_password, request.new_password, key)
        return identity_pb.ChangePasswordResponse()


class AccessServicer(access_service_pb2_grpc.AccessServiceServicer):
    def __init__(self, access: AccessControl, sessions: Sessions) -> None:
        self._access = access
        self._sessions = sessions

    async def GrantRole(self, request: access_pb.GrantRoleRequest, context: Any) -> access_pb.GrantRoleResponse:
        key = key_of(caller_of(context), request)
        roles = await self._access.grant(UUID(request.account_id), request.role, key)
        return access_pb.GrantRoleResponse(roles=roles)

    async def RevokeRole(self, request: access_pb.RevokeRoleRequest, context: Any) -> access_pb.RevokeRoleResponse:
        key = key_of(caller_of(context), request)
        roles = await self._access.revoke(UUID(request.account_id), request.role, key)
        return access_pb.RevokeRoleResponse(roles=roles)

    async def ListUsers(self, request: access_pb.ListUsersRequest, context: Any) -> access_pb.ListUsersResponse:
        page = page_of(request)
        after = page.key(datetime.fromisoformat, UUID)
        found = await self._access.list_users(
            role=request.role or None, after=(after[0], after[1]) if after else None, limit=page.limit
        )
        accounts, next_page_token = page.cut(found, lambda account: (account.create_time, account.id))
        return access_pb.ListUsersResponse(users=map(messages.user, accounts), next_page_token=next_page_token)

    async def CreateServiceAccount(
        self, request: access_pb.CreateServiceAccountRequest, context: Any
    ) -> access_pb.CreateServiceAccountResponse:
        request_key = key_of(caller_of(context), request)
        account, key = await self._access.create_service_account(request.name, request.roles, request_key)
        return access_pb.CreateServiceAccountResponse(service_account=messages.service_account(account), key=key)

    async def ExchangeKey(self, request: access_pb.ExchangeKeyRequest, context: Any) -> access_pb.ExchangeKeyResponse:
        access_token, expire_time = await self._sessions.exchange_key(request.key)
        return access_pb.ExchangeKeyResponse(access_token=access_token, expire_time=timestamp(expire_time))

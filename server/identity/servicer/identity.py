from typing import Any
from uuid import UUID

from backroom.identity.v1 import identity_service_pb2 as pb
from backroom.identity.v1 import identity_service_pb2_grpc
from server.frame.call import Call
from server.frame.paging import page_of
from server.identity import messages
from server.identity.credentials.secrets import Secrets
from server.identity.service import Accounts, Recovery, Sessions, SigningIn
from storage.frame.records import ChangeContext
from storage.identity.records import AccountKind


class IdentityServicer(identity_service_pb2_grpc.IdentityServiceServicer):
    def __init__(
        self, accounts: Accounts, signing_in: SigningIn, sessions: Sessions, recovery: Recovery, secrets: Secrets
    ) -> None:
        self._accounts = accounts
        self._signing_in = signing_in
        self._sessions = sessions
        self._recovery = recovery
        self._secrets = secrets

    async def Register(self, request: pb.RegisterRequest, call: Call) -> pb.RegisterResponse:
        change = await self._secret_context(call, request)
        account = await self._accounts.register(request.email, request.password, request.display_name, change)
        return pb.RegisterResponse(user=messages.user(account))

    async def Login(self, request: pb.LoginRequest, call: Call) -> pb.LoginResponse:
        user_agent = messages.user_agent(call.metadata)
        change = call.change_context(request)
        signed_in = await self._signing_in.login(
            request.email, request.password, user_agent, change, request.device_token
        )
        return pb.LoginResponse(tokens=messages.tokens(signed_in), device_token=signed_in.device_token)

    async def Refresh(self, request: pb.RefreshRequest, call: Call) -> pb.RefreshResponse:
        signed_in = await self._sessions.refresh(request.refresh_token, call.change_context(request))
        return pb.RefreshResponse(tokens=messages.tokens(signed_in))

    async def Logout(self, request: pb.LogoutRequest, call: Call) -> pb.LogoutResponse:
        await self._sessions.logout(request.refresh_token, call.change_context(request))
        return pb.LogoutResponse()

    async def GetMe(self, request: pb.GetMeRequest, call: Call) -> pb.GetMeResponse:
        caller = call.caller
        account = await self._accounts.get(caller)
        permissions = sorted(caller.permissions)
        if account.kind is AccountKind.PERSON:
            return pb.GetMeResponse(user=messages.user(account), permissions=permissions)
        return pb.GetMeResponse(service_account=messages.service_account(account), permissions=permissions)

    async def ChangePassword(self, request: pb.ChangePasswordRequest, call: Call) -> pb.ChangePasswordResponse:
        change = await self._secret_context(call, request)
        caller = call.caller
        passwords = (request.current_password, request.new_password)
        device_token = await self._accounts.change_password(caller, *passwords, change)
        return pb.ChangePasswordResponse(device_token=device_token)

    async def SendEmailVerification(
        self, request: pb.SendEmailVerificationRequest, call: Call
    ) -> pb.SendEmailVerificationResponse:
        await self._recovery.send_verification(request.email, call.change_context(request))
        return pb.SendEmailVerificationResponse()

    async def VerifyEmail(self, request: pb.VerifyEmailRequest, call: Call) -> pb.VerifyEmailResponse:
        await self._recovery.verify_email(request.token, await self._secret_context(call, request))
        return pb.VerifyEmailResponse()

    async def RequestPasswordReset(
        self, request: pb.RequestPasswordResetRequest, call: Call
    ) -> pb.RequestPasswordResetResponse:
        await self._recovery.request_reset(request.email, call.change_context(request))
        return pb.RequestPasswordResetResponse()

    async def ResetPassword(self, request: pb.ResetPasswordRequest, call: Call) -> pb.ResetPasswordResponse:
        change = await self._secret_context(call, request)
        device_token = await self._recovery.reset_password(request.token, request.new_password, change)
        return pb.ResetPasswordResponse(device_token=device_token)

    async def ListSessions(self, request: pb.ListSessionsRequest, call: Call) -> pb.ListSessionsResponse:
        caller = call.caller
        page = page_of(request)
        found = await self._sessions.list_latest(caller, before=page.after, limit=page.limit)
        sessions, next_page_token = page.of(
            found, lambda session: messages.session(session, current=session.id == caller.issued_for)
        )
        return pb.ListSessionsResponse(sessions=sessions, next_page_token=next_page_token)

    async def RevokeSession(self, request: pb.RevokeSessionRequest, call: Call) -> pb.RevokeSessionResponse:
        change = call.change_context(request)
        await self._sessions.revoke(call.caller, UUID(request.session_id), change)
        return pb.RevokeSessionResponse()

    async def RevokeAllSessions(self, request: pb.RevokeAllSessionsRequest, call: Call) -> pb.RevokeAllSessionsResponse:
        change = call.change_context(request)
        count = await self._sessions.revoke_all(call.caller, change, keep_current=request.keep_current)
        return pb.RevokeAllSessionsResponse(revoked_count=count)

    async def _secret_context(self, call: Call, request: Any) -> ChangeContext:
        return call.change_context(request, secret=await self._secrets.request_secret())

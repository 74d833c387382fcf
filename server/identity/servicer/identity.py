from typing import Any
from uuid import UUID

from backroom.identity.v1 import identity_service_pb2 as pb
from backroom.identity.v1 import identity_service_pb2_grpc
from server.frame.call import call_of, caller_of
from server.frame.paging import page_of
from server.frame.repeating import ask_of
from server.identity import messages
from server.identity.credentials.secrets import Secrets
from server.identity.service import Accounts, Recovery, Sessions, SigningIn
from storage.frame.records import Ask
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

    async def Register(self, request: pb.RegisterRequest, context: Any) -> pb.RegisterResponse:
        ask = await self._secret_ask(context, request)
        account = await self._accounts.register(request.email, request.password, request.display_name, ask)
        return pb.RegisterResponse(user=messages.user(account))

    async def Login(self, request: pb.LoginRequest, context: Any) -> pb.LoginResponse:
        user_agent = messages.user_agent(call_of(context).metadata)
        ask = ask_of(context, request)
        signed_in = await self._signing_in.login(request.email, request.password, user_agent, ask, request.device_token)
        return pb.LoginResponse(tokens=messages.tokens(signed_in), device_token=signed_in.device_token)

    async def Refresh(self, request: pb.RefreshRequest, context: Any) -> pb.RefreshResponse:
        signed_in = await self._sessions.refresh(request.refresh_token, ask_of(context, request))
        return pb.RefreshResponse(tokens=messages.tokens(signed_in))

    async def Logout(self, request: pb.LogoutRequest, context: Any) -> pb.LogoutResponse:
        await self._sessions.logout(request.refresh_token, ask_of(context, request))
        return pb.LogoutResponse()

    async def GetMe(self, request: pb.GetMeRequest, context: Any) -> pb.GetMeResponse:
        caller = caller_of(context)
        account = await self._accounts.get(caller)
        permissions = sorted(caller.permissions)
        if account.kind is AccountKind.PERSON:
            return pb.GetMeResponse(user=messages.user(account), permissions=permissions)
        return pb.GetMeResponse(service_account=messages.service_account(account), permissions=permissions)

    async def ChangePassword(self, request: pb.ChangePasswordRequest, context: Any) -> pb.ChangePasswordResponse:
        ask = await self._secret_ask(context, request)
        caller = caller_of(context)
        passwords = (request.current_password, request.new_password)
        device_token = await self._accounts.change_password(caller, *passwords, ask)
        return pb.ChangePasswordResponse(device_token=device_token)

    async def SendEmailVerification(
        self, request: pb.SendEmailVerificationRequest, context: Any
    ) -> pb.SendEmailVerificationResponse:
        await self._recovery.send_verification(request.email, ask_of(context, request))
        return pb.SendEmailVerificationResponse()

    async def VerifyEmail(self, request: pb.VerifyEmailRequest, context: Any) -> pb.VerifyEmailResponse:
        await self._recovery.verify_email(request.token, await self._secret_ask(context, request))
        return pb.VerifyEmailResponse()

    async def RequestPasswordReset(
        self, request: pb.RequestPasswordResetRequest, context: Any
    ) -> pb.RequestPasswordResetResponse:
        await self._recovery.request_reset(request.email, ask_of(context, request))
        return pb.RequestPasswordResetResponse()

    async def ResetPassword(self, request: pb.ResetPasswordRequest, context: Any) -> pb.ResetPasswordResponse:
        ask = await self._secret_ask(context, request)
        device_token = await self._recovery.reset_password(request.token, request.new_password, ask)
        return pb.ResetPasswordResponse(device_token=device_token)

    async def ListSessions(self, request: pb.ListSessionsRequest, context: Any) -> pb.ListSessionsResponse:
        caller = caller_of(context)
        page = page_of(request)
        found = await self._sessions.list_latest(caller, before=page.by_time(), limit=page.limit)
        sessions, next_page_token = page.told(
            found,
            lambda session: (session.create_time, session.id),
            lambda session: messages.session(session, current=session.id == caller.issued_for),
        )
        return pb.ListSessionsResponse(sessions=sessions, next_page_token=next_page_token)

    async def RevokeSession(self, request: pb.RevokeSessionRequest, context: Any) -> pb.RevokeSessionResponse:
        ask = ask_of(context, request)
        await self._sessions.revoke(caller_of(context), UUID(request.session_id), ask)
        return pb.RevokeSessionResponse()

    async def RevokeAllSessions(
        self, request: pb.RevokeAllSessionsRequest, context: Any
    ) -> pb.RevokeAllSessionsResponse:
        ask = ask_of(context, request)
        count = await self._sessions.revoke_all(caller_of(context), ask, keep_current=request.keep_current)
        return pb.RevokeAllSessionsResponse(revoked_count=count)

    async def _secret_ask(self, context: Any, request: Any) -> Ask:
        return ask_of(context, request, secret=await self._secrets.request_secret())

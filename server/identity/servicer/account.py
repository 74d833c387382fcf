from collections.abc import AsyncIterator
from uuid import UUID

from backroom.identity.v1 import account_service_pb2 as pb
from backroom.identity.v1 import account_service_pb2_grpc
from server.frame.call import Call
from server.frame.wire import optional_uuid
from server.identity import messages
from server.identity.credentials.secrets import Secrets
from server.identity.service import Deleting, Exporting, Handles
from server.identity.service.deleting import DeletionRequest


class AccountServicer(account_service_pb2_grpc.AccountServiceServicer):
    def __init__(self, handles: Handles, deleting: Deleting, exporting: Exporting, secrets: Secrets) -> None:
        self._handles = handles
        self._deleting = deleting
        self._exporting = exporting
        self._secrets = secrets

    async def SetHandle(self, request: pb.SetHandleRequest, call: Call) -> pb.SetHandleResponse:
        account_id = optional_uuid(request.account_id)
        account = await self._handles.set(call.caller, account_id, request.handle, call.change_context(request))
        return pb.SetHandleResponse(profile=messages.profile(account))

    async def GetProfile(self, request: pb.GetProfileRequest, call: Call) -> pb.GetProfileResponse:
        account = await self._handles.profile(optional_uuid(request.account_id), request.handle)
        return pb.GetProfileResponse(profile=messages.profile(account))

    async def DeleteAccount(self, request: pb.DeleteAccountRequest, call: Call) -> pb.DeleteAccountResponse:
        context = call.change_context(request, secret=await self._secrets.request_secret())
        wanted = DeletionRequest(
            optional_uuid(request.account_id), request.current_password, optional_uuid(request.transfer_to_account_id)
        )
        deletion = await self._deleting.delete(call.caller, wanted, context)
        return pb.DeleteAccountResponse(deletion=messages.deletion(deletion))

    async def GetAccountDeletion(
        self, request: pb.GetAccountDeletionRequest, call: Call
    ) -> pb.GetAccountDeletionResponse:
        deletion = await self._deleting.find(UUID(request.account_id))
        return pb.GetAccountDeletionResponse(deletion=messages.deletion(deletion))

    async def ExportAccount(
        self, request: pb.ExportAccountRequest, call: Call
    ) -> AsyncIterator[pb.ExportAccountResponse]:
        context = call.change_context(request)
        async for lines in self._exporting.export(call.caller, optional_uuid(request.account_id), context):
            call.charged_bytes += len(lines)
            yield pb.ExportAccountResponse(json_lines=lines)

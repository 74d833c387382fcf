"""flagd's sync of flag sets."""

from collections.abc import AsyncIterator

from flagd.sync.v1 import sync_service_pb2 as pb
from flagd.sync.v1 import sync_service_pb2_grpc
from server.flags.service.syncing import FlagSetTexts
from server.flags.servicer.selecting import flag_set_of
from server.frame.call import Call
from server.frame.errors import MethodUnknown


class SyncServicer(sync_service_pb2_grpc.FlagSyncServiceServicer):
    def __init__(self, texts: FlagSetTexts) -> None:
        self._texts = texts

    async def SyncFlags(self, request: pb.SyncFlagsRequest, call: Call) -> AsyncIterator[pb.SyncFlagsResponse]:
        async for text in self._texts.follow(flag_set_of(call, request.selector)):
            yield pb.SyncFlagsResponse(flag_configuration=text)

    async def FetchAllFlags(self, request: pb.FetchAllFlagsRequest, call: Call) -> pb.FetchAllFlagsResponse:
        return pb.FetchAllFlagsResponse(flag_configuration=await self._texts.now(flag_set_of(call, request.selector)))

    async def GetMetadata(self, _request: pb.GetMetadataRequest, call: Call) -> pb.GetMetadataResponse:
        raise MethodUnknown(method=call.method.removeprefix("/"))

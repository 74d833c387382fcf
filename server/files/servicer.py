"""files on the wire."""

from collections.abc import AsyncIterator

from backroom.files.v1 import file_service_pb2 as pb
from backroom.files.v1 import file_service_pb2_grpc
from server.frame.call import Call
from server.frame.errors import MethodUnknown


class FileServicer(file_service_pb2_grpc.FileServiceServicer):
    async def CreateUpload(self, request: pb.CreateUploadRequest, call: Call) -> pb.CreateUploadResponse:
        raise MethodUnknown(method="CreateUpload")

    async def WriteChunks(
        self, request_iterator: AsyncIterator[pb.WriteChunksRequest], call: Call
    ) -> pb.WriteChunksResponse:
        raise MethodUnknown(method="WriteChunks")

    async def GetUpload(self, request: pb.GetUploadRequest, call: Call) -> pb.GetUploadResponse:
        raise MethodUnknown(method="GetUpload")

    async def CompleteUpload(self, request: pb.CompleteUploadRequest, call: Call) -> pb.CompleteUploadResponse:
        raise MethodUnknown(method="CompleteUpload")

    async def DownloadFile(self, request: pb.DownloadFileRequest, call: Call) -> AsyncIterator[pb.DownloadFileResponse]:
        raise MethodUnknown(method="DownloadFile")
        yield

    async def GetFile(self, request: pb.GetFileRequest, call: Call) -> pb.GetFileResponse:
        raise MethodUnknown(method="GetFile")

    async def ListFiles(self, request: pb.ListFilesRequest, call: Call) -> pb.ListFilesResponse:
        raise MethodUnknown(method="ListFiles")

    async def ListVerdicts(self, request: pb.ListVerdictsRequest, call: Call) -> pb.ListVerdictsResponse:
        raise MethodUnknown(method="ListVerdicts")

    async def DeleteFile(self, request: pb.DeleteFileRequest, call: Call) -> pb.DeleteFileResponse:
        raise MethodUnknown(method="DeleteFile")

    async def SetLegalHold(self, request: pb.SetLegalHoldRequest, call: Call) -> pb.SetLegalHoldResponse:
        raise MethodUnknown(method="SetLegalHold")

    async def GetUsage(self, request: pb.GetUsageRequest, call: Call) -> pb.GetUsageResponse:
        raise MethodUnknown(method="GetUsage")

    async def SetQuota(self, request: pb.SetQuotaRequest, call: Call) -> pb.SetQuotaResponse:
        raise MethodUnknown(method="SetQuota")

    async def GetThumbnail(self, request: pb.GetThumbnailRequest, call: Call) -> pb.GetThumbnailResponse:
        raise MethodUnknown(method="GetThumbnail")

    async def CreateDownloadLink(
        self, request: pb.CreateDownloadLinkRequest, call: Call
    ) -> pb.CreateDownloadLinkResponse:
        raise MethodUnknown(method="CreateDownloadLink")

    async def RescanFiles(self, request: pb.RescanFilesRequest, call: Call) -> pb.RescanFilesResponse:
        raise MethodUnknown(method="RescanFiles")

    async def WatchFiles(self, request: pb.WatchFilesRequest, call: Call) -> AsyncIterator[pb.WatchFilesResponse]:
        raise MethodUnknown(method="WatchFiles")
        yield

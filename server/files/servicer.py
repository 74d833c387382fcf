from collections.abc import AsyncIterator
from contextlib import aclosing
from uuid import UUID

from google.protobuf.timestamp_pb2 import Timestamp

from backroom.files.v1 import file_service_pb2 as pb
from backroom.files.v1 import file_service_pb2_grpc
from server.files import messages
from server.files.links import Links
from server.files.rules.links import VALID_MINUTES
from server.files.service import Files, Receiving, Scanning, Thumbnails, UploadLinks, Uploads
from server.frame.call import Call
from server.frame.errors import FieldInvalid
from server.frame.paging import page_of
from server.frame.resuming import watch_of
from server.frame.wire import optional_uuid

_CHUNKS_A_CALL = 512 * 1024
"""In bytes: what costs of chunks is how many there are, since their bytes are neither parsed nor validated."""


class FileServicer(file_service_pb2_grpc.FileServiceServicer):
    def __init__(
        self,
        uploads: Uploads,
        receiving: Receiving,
        files: Files,
        scanning: Scanning,
        thumbnails: Thumbnails,
        upload_links: UploadLinks,
        links: Links,
    ) -> None:
        self._uploads = uploads
        self._receiving = receiving
        self._files = files
        self._scanning = scanning
        self._thumbnails = thumbnails
        self._upload_links = upload_links
        self._links = links

    async def CreateUpload(self, request: pb.CreateUploadRequest, call: Call) -> pb.CreateUploadResponse:
        draft = messages.draft(request)
        upload = await self._uploads.create(call.caller, draft, call.change_context(request))
        return pb.CreateUploadResponse(upload=messages.upload(upload))

    async def WriteChunks(
        self, request_iterator: AsyncIterator[pb.WriteChunksRequest], call: Call
    ) -> pb.WriteChunksResponse:
        call.sent_bytes_a_call = _CHUNKS_A_CALL
        first = await anext(request_iterator, None)
        if first is None:
            raise FieldInvalid.of("file_id", "is required: the stream has no message")
        chunks, file_id = messages.chunks(first, request_iterator), UUID(first.file_id)
        upload = await self._receiving.receive(call.caller, file_id, chunks, call.change_context())
        return pb.WriteChunksResponse(upload=messages.upload(upload))

    async def GetUpload(self, request: pb.GetUploadRequest, call: Call) -> pb.GetUploadResponse:
        upload = await self._receiving.find(call.caller, UUID(request.file_id))
        return pb.GetUploadResponse(upload=messages.upload(upload))

    async def CompleteUpload(self, request: pb.CompleteUploadRequest, call: Call) -> pb.CompleteUploadResponse:
        file_id, sha256, context = UUID(request.file_id), request.sha256.lower(), call.change_context(request)
        listed = await self._uploads.complete(call.caller, file_id, request.size_bytes, sha256, context)
        return pb.CompleteUploadResponse(file=messages.file(listed))

    async def DownloadFile(self, request: pb.DownloadFileRequest, call: Call) -> AsyncIterator[pb.DownloadFileResponse]:
        download = await self._files.open(call.caller, UUID(request.file_id), request.offset, request.length)
        yield pb.DownloadFileResponse(file=messages.file(download.listed), offset=download.offset)
        offset = download.offset
        async with aclosing(self._files.read(download)) as parts:
            async for part in parts:
                yield messages.part(offset, part)
                offset += len(part)

    async def GetFile(self, request: pb.GetFileRequest, call: Call) -> pb.GetFileResponse:
        return pb.GetFileResponse(file=messages.file(await self._files.get(call.caller, UUID(request.file_id))))

    async def ListFiles(self, request: pb.ListFilesRequest, call: Call) -> pb.ListFilesResponse:
        wanted, page = messages.file_filter(request), page_of(request)
        found = await self._files.list_latest(call.caller, wanted, before=page.after, limit=page.limit)
        files, next_page_token = page.of(found, messages.file)
        return pb.ListFilesResponse(files=files, next_page_token=next_page_token)

    async def ListVerdicts(self, request: pb.ListVerdictsRequest, call: Call) -> pb.ListVerdictsResponse:
        page, file_id = page_of(request), UUID(request.file_id)
        found = await self._files.list_verdicts(call.caller, file_id, before=page.after, limit=page.limit)
        verdicts, next_page_token = page.of(found, lambda kept: messages.verdict(kept.verdict))
        return pb.ListVerdictsResponse(verdicts=verdicts, next_page_token=next_page_token)

    async def DeleteFile(self, request: pb.DeleteFileRequest, call: Call) -> pb.DeleteFileResponse:
        file_id, context = UUID(request.file_id), call.change_context(request)
        await self._files.delete(call.caller, file_id, request.etag, context)
        return pb.DeleteFileResponse()

    async def SetLegalHold(self, request: pb.SetLegalHoldRequest, call: Call) -> pb.SetLegalHoldResponse:
        file_id, context = UUID(request.file_id), call.change_context(request)
        listed = await self._files.set_legal_hold(
            call.caller, file_id, request.etag, context, legal_hold=request.legal_hold
        )
        return pb.SetLegalHoldResponse(file=messages.file(listed))

    async def GetUsage(self, request: pb.GetUsageRequest, call: Call) -> pb.GetUsageResponse:
        owner_id = optional_uuid(request.owner_id) or call.caller.account_id
        usage, quota_bytes = await self._files.usage(call.caller, owner_id)
        return pb.GetUsageResponse(file_count=usage.file_count, used_bytes=usage.used_bytes, quota_bytes=quota_bytes)

    async def SetQuota(self, request: pb.SetQuotaRequest, call: Call) -> pb.SetQuotaResponse:
        quota_bytes = request.quota_bytes if request.HasField("quota_bytes") else None
        await self._files.set_quota(UUID(request.owner_id), quota_bytes, call.change_context(request))
        return pb.SetQuotaResponse()

    async def GetThumbnail(self, request: pb.GetThumbnailRequest, call: Call) -> pb.GetThumbnailResponse:
        edge_pixels = messages.edge_pixels(request.size)
        found = await self._thumbnails.get(call.caller, UUID(request.file_id), edge_pixels)
        return pb.GetThumbnailResponse(data=found.webp, width=found.width, height=found.height)

    async def CreateDownloadLink(
        self, request: pb.CreateDownloadLinkRequest, call: Call
    ) -> pb.CreateDownloadLinkResponse:
        file_id, minutes = UUID(request.file_id), request.valid_minutes or VALID_MINUTES
        context = call.change_context(request)
        link = await self._files.link(call.caller, file_id, minutes, request.thumbnail_pixels, context)
        expire_time = Timestamp(seconds=link.until)
        return pb.CreateDownloadLinkResponse(path=self._links.download_path(link), expire_time=expire_time)

    async def CreateUploadLink(self, request: pb.CreateUploadLinkRequest, call: Call) -> pb.CreateUploadLinkResponse:
        minutes, context = request.valid_minutes or VALID_MINUTES, call.change_context(request)
        link = await self._upload_links.make(call.caller, request.largest_bytes, minutes, context)
        expire_time = Timestamp(seconds=link.until)
        return pb.CreateUploadLinkResponse(path=self._links.upload_path(link), expire_time=expire_time)

    async def RescanFiles(self, request: pb.RescanFilesRequest, call: Call) -> pb.RescanFilesResponse:
        file_id, context = optional_uuid(request.file_id), call.change_context(request)
        return pb.RescanFilesResponse(content_count=await self._scanning.request(call.caller, file_id, context))

    async def WatchFiles(self, request: pb.WatchFilesRequest, call: Call) -> AsyncIterator[pb.WatchFilesResponse]:
        watch = watch_of(request, call.time)
        async for message in self._files.watch(call.caller, optional_uuid(request.file_id), watch.position):
            answer = pb.WatchFilesResponse(resume_token=watch.token(message.position))
            if message.change is not None:
                answer.change = message.change.happened
                answer.file.CopyFrom(messages.file(message.change.listed))
            yield answer

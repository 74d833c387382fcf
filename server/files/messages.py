"""files' messages to plain values, and back."""

from collections.abc import AsyncGenerator, AsyncIterator

from google_crc32c import value

from backroom.files.v1 import file_service_pb2 as pb
from backroom.files.v1 import files_pb2
from server.files.rules.receiving import Chunk, UploadDraft
from server.frame.editing import etag_of
from server.frame.errors import FieldInvalid
from server.frame.wire import EnumNames, id_text, optional_uuid, time_of, timestamp
from storage.files.records import FileFilter, FileState, ListedFile, Outcome, Upload, Verdict

_STATES = EnumNames(FileState, files_pb2.FileState)
_OUTCOMES = EnumNames(Outcome, files_pb2.Outcome)
_MEDIUM_PIXELS = 512
_EDGE_PIXELS = {
    files_pb2.THUMBNAIL_SIZE_SMALL: 128,
    files_pb2.THUMBNAIL_SIZE_MEDIUM: _MEDIUM_PIXELS,
    files_pb2.THUMBNAIL_SIZE_LARGE: 1280,
}


def draft(request: pb.CreateUploadRequest) -> UploadDraft:
    return UploadDraft(
        name=request.name,
        size_bytes=request.size_bytes,
        declared_type=request.declared_type,
        expire_time=time_of(request.expire_time) if request.HasField("expire_time") else None,
    )


async def chunks(
    first: pb.WriteChunksRequest, others: AsyncIterator[pb.WriteChunksRequest]
) -> AsyncGenerator[Chunk, None]:
    """The chunks of a stream; raises FieldInvalid where one is of another upload than the first one."""
    yield _chunk(first)
    number = 1
    async for message in others:
        number += 1
        if message.file_id != first.file_id:
            raise FieldInvalid.of("file_id", "must be the same in all messages of a stream").at_message(number)
        yield _chunk(message)


def _chunk(message: pb.WriteChunksRequest) -> Chunk:
    return Chunk(message.offset, message.data, message.crc32c)


def file_filter(request: pb.ListFilesRequest) -> FileFilter:
    return FileFilter(owner_id=optional_uuid(request.owner_id), state=_STATES.find(request.state))


def file(listed: ListedFile) -> files_pb2.File:
    kept = listed.file
    message = files_pb2.File(
        file_id=id_text(kept.id),
        name=kept.name,
        size_bytes=kept.size_bytes,
        sha256=kept.sha256 or "",
        content_type=listed.content_type,
        declared_type=kept.declared_type,
        state=_STATES.wire(kept.state),
        owner_id=id_text(kept.owner_id),
        legal_hold=kept.legal_hold,
        expire_time=timestamp(kept.expire_time),
        etag=etag_of(kept),
        create_time=timestamp(kept.create_time),
        update_time=timestamp(kept.update_time),
    )
    if listed.verdict is not None:
        message.verdict.CopyFrom(verdict(listed.verdict))
    return message


def verdict(kept: Verdict) -> files_pb2.Verdict:
    return files_pb2.Verdict(
        outcome=_OUTCOMES.wire(kept.outcome),
        scanner=kept.scanner,
        signatures=kept.signatures,
        detail=kept.detail,
        scan_time=timestamp(kept.create_time),
    )


def upload(kept: Upload) -> files_pb2.Upload:
    return files_pb2.Upload(
        file=file(ListedFile(kept.file)),
        received_bytes=kept.received_bytes,
        expire_time=timestamp(kept.expire_time),
    )


def edge_pixels(size: files_pb2.ThumbnailSize.ValueType) -> int:
    return _EDGE_PIXELS.get(size, _MEDIUM_PIXELS)


def part(offset: int, data: bytes) -> pb.DownloadFileResponse:
    return pb.DownloadFileResponse(offset=offset, data=data, crc32c=value(data))

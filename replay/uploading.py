"""A picture that is uploaded over a line that breaks, and a file in which every scanner finds something."""

import asyncio
import hashlib
import random
import struct
import zlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

import grpc
from google_crc32c import value

from backroom.files.v1 import files_pb2
from backroom.files.v1.file_service_pb2 import (
    CompleteUploadRequest,
    CreateUploadRequest,
    DownloadFileRequest,
    GetFileRequest,
    GetThumbnailRequest,
    GetUploadRequest,
    WriteChunksRequest,
)
from backroom_client import AsyncBackroom, refusal_of, request_id_for
from replay.calling import NOT_HERE, NotShown, ReplayFailed
from replay.plan import SHOP

_WIDTH, _HEIGHT = 640, 480
_EICAR = r"*H+H$!ELIF-TSET-SURIVITNA-DRADNATS-RACIE$}7)CC7)^P(45XZP\4[PA@%P!O5X"[::-1]
"""What every scanner finds, without being harmful; written backward, so that none finds it here."""
_CHUNK_BYTES = 64 * 1024
_WAIT_SECONDS = 30.0
_NO_SCANNER_SECONDS = 4.0
"""A scan begins within one: after this, nobody scans."""
_POLL_SECONDS = 0.1
_WAITING = (files_pb2.FILE_STATE_STORED, files_pb2.FILE_STATE_SCANNING)


@dataclass(frozen=True, slots=True)
class UploadedFiles:
    """What became of both."""

    picture: files_pb2.File
    thumbnail: tuple[int, int] | None
    """Its width and height; None where it is not served."""
    eicar: files_pb2.File
    refused: bool
    """Whether the second one is not served."""

    @property
    def scanner(self) -> str:
        """Who scanned; empty where nobody did."""
        return self.picture.verdict.scanner

    @property
    def complete(self) -> bool:
        """Whether what was found is served or refused as it must be."""
        if not self.scanner:
            return self.refused and self.thumbnail is None
        if self.scanner == "none":
            return self.thumbnail is not None
        return self.thumbnail is not None and self.refused and self.eicar.state == files_pb2.FILE_STATE_INFECTED


async def upload_files(client: AsyncBackroom) -> UploadedFiles:
    """Uploads both; a second time changes nothing. Raises NotShown, and ReplayFailed where it cannot go on."""
    try:
        picture = await _uploaded(client, "backroom-demo.png", _picture())
        eicar = await _uploaded(client, "backroom-demo.txt", _EICAR.encode())
        thumbnail = None
        if picture.state not in _WAITING:
            request = GetThumbnailRequest(file_id=picture.file_id, size=files_pb2.THUMBNAIL_SIZE_SMALL)
            found = await client.files.GetThumbnail(request)
            thumbnail = (found.width, found.height)
        return UploadedFiles(picture, thumbnail, eicar, await _is_refused(client, eicar))
    except grpc.aio.AioRpcError as error:
        refusal = refusal_of(error)
        text = f"{refusal.reason}: {refusal.message}" if refusal else error.details() or "no answer"
        if error.code() in NOT_HERE:
            raise NotShown(text) from error
        raise ReplayFailed(f"the files were not uploaded: {error.code().name}: {text}") from error
    except TimeoutError:
        raise ReplayFailed(f"the files were not scanned within {_WAIT_SECONDS:g} s: is a worker running?") from None


async def _uploaded(client: AsyncBackroom, name: str, content: bytes) -> files_pb2.File:
    """A file that was scanned, or waits for a scanner that there is not."""
    create = CreateUploadRequest(request_id=request_id_for(SHOP, "files", name), name=name, size_bytes=len(content))
    file_id = (await client.files.CreateUpload(create)).upload.file.file_id
    if (await _file(client, file_id)).state == files_pb2.FILE_STATE_UPLOADING:
        await _send(client, file_id, content)
    complete = CompleteUploadRequest(
        request_id=request_id_for(SHOP, "files", f"{name} complete"),
        file_id=file_id,
        size_bytes=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
    )
    await client.files.CompleteUpload(complete)
    return await _scanned(client, file_id)


async def _send(client: AsyncBackroom, file_id: str, content: bytes) -> None:
    """Sends the first half over a line that breaks, and the rest from where the server says that it is."""
    chunks = _chunks(file_id, content, 0)
    sent = asyncio.Event()

    async def half() -> AsyncIterator[WriteChunksRequest]:
        for chunk in chunks[: len(chunks) // 2]:
            yield chunk
        sent.set()
        await asyncio.Event().wait()

    if len(chunks) > 1:
        breaking = asyncio.ensure_future(client.files.WriteChunks(half()))
        await sent.wait()
        await asyncio.sleep(_POLL_SECONDS)
        breaking.cancel()
        await asyncio.wait([breaking])
    async with asyncio.timeout(_WAIT_SECONDS):
        while (received := await _received(client, file_id)) < len(content):
            try:
                await client.files.WriteChunks(iter(_chunks(file_id, content, received)))
            except grpc.aio.AioRpcError as error:
                # The first half was still being stored. A client that still writes when it is refused may say INTERNAL.
                if error.code() not in (grpc.StatusCode.ABORTED, grpc.StatusCode.INTERNAL):
                    raise


async def _received(client: AsyncBackroom, file_id: str) -> int:
    return (await client.files.GetUpload(GetUploadRequest(file_id=file_id))).upload.received_bytes


async def _scanned(client: AsyncBackroom, file_id: str) -> files_pb2.File:
    """The file once it has a verdict, or was not begun to be scanned in time."""
    begun = asyncio.get_running_loop().time()
    async with asyncio.timeout(_WAIT_SECONDS):
        while (file := await _file(client, file_id)).state in _WAITING:
            waited = asyncio.get_running_loop().time() - begun
            if file.state == files_pb2.FILE_STATE_STORED and waited > _NO_SCANNER_SECONDS:
                break
            await asyncio.sleep(_POLL_SECONDS)
    return file


async def _file(client: AsyncBackroom, file_id: str) -> files_pb2.File:
    return (await client.files.GetFile(GetFileRequest(file_id=file_id))).file


async def _is_refused(client: AsyncBackroom, file: files_pb2.File) -> bool:
    """Whether a file is not served."""
    try:
        async for _ in client.files.DownloadFile(DownloadFileRequest(file_id=file.file_id)):
            pass
    except grpc.aio.AioRpcError as error:
        refusal = refusal_of(error)
        if refusal is None or refusal.reason != "FILE_NOT_SERVED":
            raise
        return True
    return False


def _chunks(file_id: str, content: bytes, offset: int) -> Sequence[WriteChunksRequest]:
    parts = ((place, content[place : place + _CHUNK_BYTES]) for place in range(offset, len(content), _CHUNK_BYTES))
    return [WriteChunksRequest(file_id=file_id, offset=place, data=part, crc32c=value(part)) for place, part in parts]


def _picture() -> bytes:
    """A PNG, the same each time, which is as large as a photo."""
    noise = random.Random(1).randbytes(_WIDTH * _HEIGHT * 3)  # noqa: S311 - nothing is kept secret by it
    row = _WIDTH * 3
    pixels = b"".join(b"\0" + noise[place : place + row] for place in range(0, len(noise), row))
    header = struct.pack(">IIBBBBB", _WIDTH, _HEIGHT, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + _part(b"IHDR", header) + _part(b"IDAT", zlib.compress(pixels, 0)) + _part(b"IEND", b"")
    )


def _part(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

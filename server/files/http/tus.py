"""tus 1.0.0, a protocol of resumable uploads (https://tus.io/protocols/resumable-upload)."""

import asyncio
import base64
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from datetime import UTC
from email.utils import format_datetime
from uuid import UUID

from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response

from server.files.errors import FileStateConflict, OffsetMismatch, QuotaExceeded, SizeExceeded
from server.files.http.uploading import (
    CHECKSUMS,
    Checksum,
    Malformed,
    Uploading,
    UploadRequests,
    checksum,
    metadata,
    named,
    number,
)
from server.files.links import UPLOADS, Links
from server.files.rules.links import UploadRight
from server.files.rules.receiving import Chunk, UploadDraft
from server.files.service import Files, Receiving, Uploads
from server.frame.editing import etag_of
from server.frame.errors import FieldInvalid, Overloaded
from server.frame.http import http_headers, take_body
from server.frame.module import Clock
from storage.files.records import Upload

VERSION = "1.0.0"
_EXTENSIONS = "creation,creation-with-upload,checksum,termination,expiration"
_BYTES = "application/offset+octet-stream"
_MAX_CHECKED_BYTES = 8 * 1024 * 1024
"""Of a chunk with a checksum, which is stored only once all of it was checked."""
_READ_SECONDS = 30.0
"""For how long a sender may send nothing."""
_CHECKSUM_MISMATCH = 460


class Tus:
    """Answers tus' requests; uploads are the same as those of gRPC, and can be continued by it."""

    def __init__(
        self,
        uploads: Uploads,
        receiving: Receiving,
        files: Files,
        requests: UploadRequests,
        links: Links,
        now: Clock,
        largest_bytes: int,
    ) -> None:
        self._uploads = uploads
        self._receiving = receiving
        self._files = files
        self._requests = requests
        self._links = links
        self._now = now
        self._largest_bytes = largest_bytes

    async def answer(self, request: Request) -> Response:
        """Raises RateLimited, TokenInvalid, PermissionMissing, FileNotFound, StorageUnavailable."""
        method = request.method
        if method == "POST":
            method = request.headers.get("x-http-method-override", method).upper()
        try:
            found = await self._answered(method, request)
        except Malformed as error:
            found = PlainTextResponse(f"{error}\n", error.status)
        except (OffsetMismatch, FileStateConflict) as refusal:
            found = PlainTextResponse(f"{refusal.message()}\n", 409)
        except (QuotaExceeded, SizeExceeded) as refusal:
            found = PlainTextResponse(f"{refusal.message()}\n", 413)
        except Overloaded as refusal:
            # tus-js-client tries again what is a 503, and not what is a 429.
            found = PlainTextResponse(f"{refusal.message()}\n", 503, http_headers(refusal))
        except (TimeoutError, ClientDisconnect):
            found = PlainTextResponse("Nothing was sent for a while: continue from the offset.\n", 408)
        found.headers["tus-resumable"] = VERSION
        return found

    async def _answered(self, method: str, request: Request) -> Response:
        if method == "OPTIONS":
            return Response(status_code=204, headers=self._abilities())
        if request.headers.get("tus-resumable") != VERSION:
            return PlainTextResponse(f"Tus-Resumable must be {VERSION}.\n", 412, {"tus-version": VERSION})
        uploading = await self._requests.admitted(request)
        if uploading.file_id is None:
            if method == "POST":
                return await self._create(request, uploading)
        elif method == "HEAD":
            return await self._head(uploading, uploading.file_id)
        elif method == "PATCH":
            return await self._patch(request, uploading, uploading.file_id)
        elif method == "DELETE":
            return await self._terminate(uploading, uploading.file_id)
        raise Malformed(405, f"{method} is not answered here.")

    def _abilities(self) -> Mapping[str, str]:
        return {
            "tus-version": VERSION,
            "tus-extension": _EXTENSIONS,
            "tus-max-size": str(self._largest_bytes),
            "tus-checksum-algorithm": ",".join(CHECKSUMS),
        }

    async def _create(self, request: Request, uploading: Uploading) -> Response:
        """Also with the first bytes."""
        if "upload-defer-length" in request.headers:
            raise Malformed(400, "Upload-Length must be known from the start.")
        size, said = number(request.headers, "upload-length"), metadata(request.headers.get("upload-metadata", ""))
        largest = (uploading.link.largest_bytes if uploading.link else 0) or self._largest_bytes
        if size > min(largest, self._largest_bytes):
            raise Malformed(413, f"Upload-Length must be at most {min(largest, self._largest_bytes)} bytes.")
        wanted = _wanted_checksum(request)
        name, kind = named(said)
        draft = UploadDraft(name, size, kind, None)
        try:
            upload = await self._uploads.create(uploading.caller, draft, uploading.context("tus POST", self._now))
        except FieldInvalid as refusal:
            raise Malformed(400, refusal.message()) from None
        if _has_bytes(request):
            upload = await self._received(request, uploading, upload.file.id, 0, wanted)
        await self._complete(uploading, upload)
        headers = {"location": self._location(uploading, upload), **_progress(upload)}
        return Response(status_code=201, headers=headers)

    async def _head(self, uploading: Uploading, file_id: UUID) -> Response:
        headers = {"cache-control": "no-store"}
        try:
            upload = await self._receiving.find(uploading.caller, file_id)
        except FileStateConflict:
            file = (await self._files.get(uploading.caller, file_id)).file
            size = str(file.size_bytes)
            return Response(headers={**headers, "upload-offset": size, "upload-length": size})
        # A sender whose last answer was lost, or whose file could not be completed then, sends nothing more.
        await self._complete(uploading, upload)
        said = f"filename {base64.b64encode(upload.file.name.encode()).decode()}"
        headers |= {"upload-length": str(upload.file.size_bytes), "upload-metadata": said, **_progress(upload)}
        return Response(headers=headers)

    async def _patch(self, request: Request, uploading: Uploading, file_id: UUID) -> Response:
        if not _has_bytes(request):
            raise Malformed(415, f"Content-Type must be {_BYTES}.")
        offset = number(request.headers, "upload-offset")
        upload = await self._received(request, uploading, file_id, offset, _wanted_checksum(request))
        await self._complete(uploading, upload)
        return Response(status_code=204, headers=_progress(upload))

    async def _terminate(self, uploading: Uploading, file_id: UUID) -> Response:
        """Gives up an upload; what is completed is a file, and no longer tus' to delete."""
        upload = await self._receiving.find(uploading.caller, file_id)
        context = uploading.context("tus DELETE", self._now)
        await self._files.delete(uploading.caller, file_id, etag_of(upload.file), context)
        return Response(status_code=204)

    async def _received(
        self, request: Request, uploading: Uploading, file_id: UUID, offset: int, wanted: Checksum | None
    ) -> Upload:
        upload = await self._receiving.find(uploading.caller, file_id)
        if upload.received_bytes != offset:
            raise OffsetMismatch(offset=str(upload.received_bytes))
        if not take_body(request):
            raise Overloaded
        chunks = _chunks(request, offset) if wanted is None else _whole(await _checked(request, wanted), offset)
        context = uploading.context("tus PATCH", self._now)
        return await self._receiving.receive(uploading.caller, file_id, chunks, context)

    async def _complete(self, uploading: Uploading, upload: Upload) -> None:
        if upload.received_bytes == upload.file.size_bytes:
            context = uploading.context("tus PATCH", self._now)
            await self._uploads.complete(uploading.caller, upload.file.id, upload.file.size_bytes, None, context)

    def _location(self, uploading: Uploading, upload: Upload) -> str:
        """Of an upload that was created by a link, one that permits this upload alone."""
        if uploading.link is None:
            return f"{UPLOADS}/{upload.file.id}"
        until = int(upload.expire_time.timestamp())
        return self._links.right_path(UploadRight(upload.file.id, uploading.caller.account_id, until))


def _has_bytes(request: Request) -> bool:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower() == _BYTES


def _wanted_checksum(request: Request) -> Checksum | None:
    return checksum(request.headers.get("upload-checksum", ""))


async def _checked(request: Request, wanted: Checksum) -> bytes:
    """A chunk that has its checksum; raises Malformed, and then nothing of it is stored."""
    body = bytearray()
    async with aclosing(_chunks(request, 0)) as chunks:
        async for chunk in chunks:
            body += chunk.data
            if len(body) > _MAX_CHECKED_BYTES:
                raise Malformed(413, f"A chunk with a checksum must have at most {_MAX_CHECKED_BYTES} bytes.")
    if not wanted.fits(bytes(body)):
        raise Malformed(_CHECKSUM_MISMATCH, "The chunk does not have its checksum: send it again.")
    return bytes(body)


async def _whole(data: bytes, offset: int) -> AsyncGenerator[Chunk, None]:
    yield Chunk(offset, data, None)


async def _chunks(request: Request, offset: int) -> AsyncGenerator[Chunk, None]:
    """The body as it comes; raises TimeoutError, ClientDisconnect."""
    async with aclosing(request.stream()) as stream:
        while True:
            async with asyncio.timeout(_READ_SECONDS):
                data = await anext(stream, None)
            if data is None:
                return
            if data:
                yield Chunk(offset, data, None)
                offset += len(data)


def _progress(upload: Upload) -> Mapping[str, str]:
    expires = upload.expire_time.astimezone(UTC)
    return {"upload-offset": str(upload.received_bytes), "upload-expires": format_datetime(expires, usegmt=True)}

"""GET /files/downloads/...: a file, a part of it, or a thumbnail, to whoever has a signed link."""

import asyncio
import re
from collections.abc import Awaitable, Mapping
from contextlib import aclosing
from time import monotonic
from unicodedata import normalize
from urllib.parse import quote

import structlog
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.types import Receive, Scope, Send

from server.files.http.ranges import ByteRange, Unsatisfiable, byte_range
from server.files.links import Links
from server.files.rules.links import DownloadLink
from server.files.service import Download, Files, Thumbnails
from server.frame.addresses import caller_networks
from server.frame.entity_tags import etag_of
from server.frame.errors import Overloaded, RateLimited
from server.frame.http import HttpCallers, file_sending, give_up, stay_open, unless_known
from server.frame.interceptors.rate_limit import Buckets, Rate
from server.frame.log import described
from server.frame.module import Clock
from storage.files.records import Content, ListedFile

_RATE = Rate(per_second=20, burst=200)
"""Of one network."""
_WRITE_SECONDS = 30.0
"""For how long a reader may make no room for more."""
_LINK_SECONDS = 60
"""For how long the storage's own link is valid: a browser follows it at once."""
_CACHED = "private, no-cache"
"""To be asked about each time, since what is clean today may be infected tomorrow."""
_PASSIVE = re.compile(
    r"image/(?:png|jpeg|gif|webp|avif|bmp|tiff)|(?:audio|video)/[a-z0-9.+-]+|text/plain|application/(?:pdf|zip|gzip|x-gzip)"
)
"""Types that no browser runs anything of; all others, HTML and SVG among them, are bytes of no known type."""
_OPAQUE = "application/octet-stream"
_PLAIN = re.compile(r"[^A-Za-z0-9 ._()+=@-]")


class Downloads:
    """Answers with files as attachments, of a type that we tell, in a sandbox."""

    def __init__(
        self,
        files: Files,
        thumbnails: Thumbnails,
        links: Links,
        callers: HttpCallers,
        now: Clock,
        logger: structlog.typing.FilteringBoundLogger,
        *,
        redirect: bool,
    ) -> None:
        """With `redirect`, files come from the storage itself where that can be linked to."""
        self._files = files
        self._thumbnails = thumbnails
        self._links = links
        self._callers = callers
        self._now = now
        self._logger = logger
        self._redirect = redirect
        self._buckets = Buckets(_RATE, monotonic)

    async def answer(self, request: Request) -> Response:
        """Raises TokenInvalid, RateLimited, FileNotFound, FileNotServed, StorageUnavailable, Overloaded."""
        if wait := self._buckets.take_from_all(caller_networks(self._callers.address_of(request))):
            raise RateLimited(retry_after=wait)
        if request.method == "OPTIONS":  # what a browser asks of another origin's page was answered before
            return Response(status_code=204, headers={"allow": "GET, HEAD, OPTIONS"})
        link = self._links.download(request.path_params["link"], self._now())
        listed, content = await self._files.served_by_link(link)
        if link.thumbnail_pixels:
            return await self._thumbnail(request, link, content)
        return await self._file(request, listed, content)

    async def _thumbnail(self, request: Request, link: DownloadLink, content: Content) -> Response:
        etag = etag_of(content.sha256, link.thumbnail_pixels)
        if (known := unless_known(request, etag)) is not None:
            return known
        found = await self._thumbnails.of_content(content, link.thumbnail_pixels)
        return Response(found.webp, media_type="image/webp", headers={"etag": etag, "cache-control": _CACHED})

    async def _file(self, request: Request, listed: ListedFile, content: Content) -> Response:
        etag = f'"{content.sha256}"'
        headers = {"etag": etag, "cache-control": _CACHED, "accept-ranges": "bytes"}
        if (known := unless_known(request, etag)) is not None:
            known.headers.update(headers)
            return known
        if self._redirect and request.method == "GET":
            url = await self._files.storage_url(content, _LINK_SECONDS)
            if url is not None:
                return RedirectResponse(url, 307, {"cache-control": "no-store"})
        # RFC 9110, 14.2: a range is defined for GET alone.
        ranged = request.method == "GET" and request.headers.get("if-range", etag) == etag
        wanted = request.headers.get("range", "") if ranged else ""
        try:
            part = byte_range(wanted, content.size_bytes)
        except Unsatisfiable:
            return Response(status_code=416, headers={**headers, "content-range": f"bytes */{content.size_bytes}"})
        headers |= {
            "content-type": served_type(content.content_type),
            "content-disposition": disposition(listed.file.name),
        }
        return self._part(request, Download(listed, 0, content.size_bytes, content.key), part, headers)

    def _part(self, request: Request, whole: Download, part: ByteRange | None, headers: Mapping[str, str]) -> Response:
        size, status, sent = whole.length, 200, dict(headers)
        if part is not None:
            status, sent["content-range"] = 206, part.content_range(size)
            whole = Download(whole.listed, part.offset, part.length, whole.key)
        sent["content-length"] = str(whole.length)
        if request.method == "HEAD" or not whole.length:
            return Response(status_code=status, headers=sent)
        if not stay_open(request):
            raise Overloaded
        return _Streamed(request, self._files, whole, self._logger, status, sent)


class _Streamed(Response):
    """An answer that is sent as it is read, to a reader that must read."""

    def __init__(
        self,
        request: Request,
        files: Files,
        download: Download,
        logger: structlog.typing.FilteringBoundLogger,
        status: int,
        headers: Mapping[str, str],
    ) -> None:
        super().__init__(status_code=status, headers=headers)
        self._request = request
        self._files = files
        self._download = download
        self._logger = logger

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Where something fails, the connection ends: half a file must not look like a whole one."""
        gone, fault, whole = asyncio.create_task(_disconnected(receive)), "", False
        try:
            whole = await self._sent(send, gone)
        except (TimeoutError, ConnectionError):
            pass  # the reader's own fault
        except Exception as error:  # noqa: BLE001 - nothing may rise further, where its text would be logged whole
            fault = described(error)
        if fault:
            self._logger.error("download_failed", call_id=self.headers.get("x-request-id", ""), fault=fault)
        if not whole:
            give_up(self._request)
            await asyncio.wait([gone], timeout=_WRITE_SECONDS)
        gone.cancel()
        await asyncio.gather(gone, return_exceptions=True)

    async def _sent(self, send: Send, gone: asyncio.Task[None]) -> bool:
        """False where the reader went away."""
        start = {"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers}
        await _within(send(start))
        if not await self._sent_as_file() and not await self._sent_in_parts(send, gone):
            return False
        await _within(send({"type": "http.response.body", "body": b"", "more_body": False}))
        return True

    async def _sent_as_file(self) -> bool:
        """False where there is no file, or no way to send it as one, and nothing was sent."""
        send_file, download = file_sending(self._request), self._download
        if send_file is None:
            return False
        async with self._files.file_of(download) as file:
            if file is not None:
                await send_file(file, download.offset, download.length, _WRITE_SECONDS)
        return file is not None

    async def _sent_in_parts(self, send: Send, gone: asyncio.Task[None]) -> bool:
        """False where the reader went away."""
        async with aclosing(self._files.read(self._download)) as parts:
            async for part in parts:
                if gone.done():
                    return False
                await _within(send({"type": "http.response.body", "body": part, "more_body": True}))
        return True


async def _within(sending: Awaitable[None]) -> None:
    async with asyncio.timeout(_WRITE_SECONDS):
        await sending


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def served_type(content_type: str) -> str:
    """The type as which a content is sent."""
    if not _PASSIVE.fullmatch(content_type):
        return _OPAQUE
    return f"{content_type}; charset=utf-8" if content_type.startswith("text/") else content_type


def disposition(name: str) -> str:
    """That a file is to be stored under its name, and not shown (RFC 6266)."""
    plain = _PLAIN.sub("_", normalize("NFKD", name).encode("ascii", "ignore").decode()).strip(" .") or "file"
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"

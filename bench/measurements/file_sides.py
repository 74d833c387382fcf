"""The systems that whole files are sent to and received from, ready to be called; each answer is checked."""

import asyncio
import hashlib
import os
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import grpc
import orjson
from google_crc32c import value

from backroom.files.v1 import file_service_pb2 as pb
from backroom.files.v1 import files_pb2
from backroom.files.v1.file_service_pb2_grpc import FileServiceStub
from backroom.identity.v1 import access_service_pb2
from backroom.identity.v1.access_service_pb2_grpc import AccessServiceStub
from bench.measurements.sides import NoEcho
from bench.peers.blocking import received, sent
from bench.peers.echo import PART_BYTES
from bench.peers.http1 import head
from bench.peers.serving import echo, usual
from bench.peers.usual.issuing import TokenIssuer
from bench.setting import Bench
from load.cpu import Meter, cpu_of
from load.order_requests import Unexpected

if TYPE_CHECKING:
    from backroom.files.v1.file_service_pb2_grpc import FileServiceAsyncStub

_FORM_BEGIN = (
    b'--bench\r\ncontent-disposition: form-data; name="file"; filename="a.bin"\r\n'
    b"content-type: application/octet-stream\r\n\r\n"
)
_FORM_END = b"\r\n--bench--\r\n"
_LOCATION = re.compile(rb"\r\nlocation: (\S+)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Transfer:
    """One file that was sent or received."""

    megabytes_a_second: float
    cpu: float
    """Of the server, in seconds for each GB."""


@dataclass(frozen=True, slots=True)
class Way:
    """How a system takes files, or gives them back."""

    name: str
    cpu: Meter
    size: int
    transfer: Callable[[], Awaitable[float]]
    """Sends or receives one file, and returns in how many seconds, without what was made before."""

    async def measure(self) -> Transfer:
        before = self.cpu()
        seconds = await self.transfer()
        return Transfer(self.size / seconds / 1e6, (self.cpu() - before) / self.size * 1e9)


@dataclass(frozen=True, slots=True)
class FileServer:
    """A system, by one protocol."""

    upload: Way
    download: Way


class Contents:
    """Files of one size, each another one."""

    def __init__(self, size: int) -> None:
        self.size = size
        self._part = os.urandom(PART_BYTES)
        self._count = 0

    def next(self) -> tuple[list[bytes], str]:
        """Its parts, and its SHA-256."""
        self._count += 1
        first = self._count.to_bytes(8, "big") + self._part[8:]
        parts = [first, *(self._part for _ in range(1, self.size // PART_BYTES))]
        digest = hashlib.sha256()
        for part in parts:
            digest.update(part)
        return parts, digest.hexdigest()


class _Ours:
    """Calls of a server of ours, over gRPC and over HTTP; each upload is of another file."""

    def __init__(self, http_address: str, files: "FileServiceAsyncStub", token: str, contents: Contents) -> None:
        self._http, self._files, self._contents, self._size = http_address, files, contents, contents.size
        self._bearer = f"Bearer {token}"
        self._metadata = (("authorization", self._bearer),)
        self._kept, self._link = "", b""

    async def prepare(self) -> None:
        """Uploads the file that is downloaded, and returns once it was scanned, as far as this server is set to."""
        self._kept = await self._upload(*self._contents.next())
        waiting = (files_pb2.FILE_STATE_STORED, files_pb2.FILE_STATE_SCANNING)
        async with asyncio.timeout(60):
            while (await self._found(self._kept)).state in waiting:  # noqa: ASYNC110 - nobody announces it
                await asyncio.sleep(0.05)
        request = pb.CreateDownloadLinkRequest(file_id=self._kept)
        self._link = (await self._files.CreateDownloadLink(request, metadata=self._metadata)).path.encode()

    async def upload(self) -> float:
        content = self._contents.next()
        began = time.perf_counter()
        await self._upload(*content)
        return time.perf_counter() - began

    async def upload_by_tus(self) -> float:
        parts, sha256 = self._contents.next()
        began, size = time.perf_counter(), str(self._size)
        created, _ = await sent(self._http, self._head(b"POST /files/uploads", upload_length=size), (), 201)
        found = _LOCATION.search(created)
        assert found is not None  # noqa: S101 - tus promises it
        kind = {"content_type": "application/offset+octet-stream", "upload_offset": "0", "content_length": size}
        await sent(self._http, self._head(b"PATCH " + found[1], **kind), parts, 204)
        seconds = time.perf_counter() - began
        if (await self._found(found[1].rpartition(b"/")[2].decode())).sha256 != sha256:
            raise Unexpected("the file has another SHA-256 than what was sent")
        return seconds

    async def download(self) -> float:
        began = time.perf_counter()
        request = pb.DownloadFileRequest(file_id=self._kept)
        await _counted(self._files.DownloadFile(request, metadata=self._metadata), self._size)
        return time.perf_counter() - began

    async def download_by_link(self) -> float:
        asked = b"GET %b HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n" % self._link
        began = time.perf_counter()
        _check_count(await received(self._http, asked), self._size)
        return time.perf_counter() - began

    async def _upload(self, parts: list[bytes], sha256: str) -> str:
        request = pb.CreateUploadRequest(name="a.bin", size_bytes=self._size)
        file_id = str((await self._files.CreateUpload(request, metadata=self._metadata)).upload.file.file_id)
        await self._files.WriteChunks(_chunks(file_id, parts), metadata=self._metadata)
        complete = pb.CompleteUploadRequest(file_id=file_id, size_bytes=self._size, sha256=sha256)
        await self._files.CompleteUpload(complete, metadata=self._metadata)
        return file_id

    async def _found(self, file_id: str) -> files_pb2.File:
        request = pb.GetFileRequest(file_id=file_id)
        file: files_pb2.File = (await self._files.GetFile(request, metadata=self._metadata)).file
        return file

    def _head(self, first: bytes, **headers: str) -> bytes:
        host, _, port = self._http.rpartition(":")
        said = {"content_length": "0", "tus_resumable": "1.0.0", "connection": "close", **headers}
        return b"%b HTTP/1.1\r\n%b\r\n" % (first, head(host, int(port), authorization=self._bearer, **said))


@asynccontextmanager
async def our_files(bench: Bench, contents: Contents, folder: Path) -> AsyncIterator[tuple[FileServer, FileServer]]:
    """Over HTTP, and over gRPC."""
    settings = {
        "BACKROOM_FILES_STORAGE": str(folder),
        "BACKROOM_FILES_SCANNER": "none",
        "BACKROOM_FILES_LARGE_QUOTA_BYTES": str(2**50),
    }
    async with (
        bench.backroom(bench.database("transferring"), **settings) as server,
        grpc.aio.insecure_channel(server.address) as channel,
    ):
        key = access_service_pb2.ExchangeKeyRequest(key=server.api_key)
        token = (await AccessServiceStub(channel).ExchangeKey(key)).access_token
        ours = _Ours(server.http_address, FileServiceStub(channel), token, contents)
        await ours.prepare()
        way = partial(Way, "Backroom", cpu_of(server.pid), contents.size)
        over_grpc = FileServer(way(ours.upload), way(ours.download))
        yield FileServer(way(ours.upload_by_tus), way(ours.download_by_link)), over_grpc


@asynccontextmanager
async def bare_echo(contents: Contents) -> AsyncIterator[FileServer]:
    """The bare gRPC echo, which takes as many bytes, and sends as many."""
    with echo() as server:
        async with grpc.aio.insecure_channel(server.address) as channel:
            files = FileServiceStub(channel)

            async def upload() -> float:
                parts, _ = contents.next()
                began = time.perf_counter()
                answer = await files.WriteChunks(_chunks(str(uuid4()), parts))
                if answer.upload.received_bytes != contents.size:
                    raise NoEcho
                return time.perf_counter() - began

            async def download() -> float:
                began = time.perf_counter()
                await _counted(files.DownloadFile(pb.DownloadFileRequest(length=contents.size)), contents.size)
                return time.perf_counter() - began

            way = partial(Way, "the bare gRPC echo", cpu_of(server.pid), contents.size)
            yield FileServer(way(upload), way(download))


@asynccontextmanager
async def usual_files(bench: Bench, contents: Contents, folder: Path) -> AsyncIterator[FileServer]:
    """The usual stack over HTTP, with files in a folder."""
    url, issuer = bench.empty_database("transferring_usual"), TokenIssuer()
    bearer = f"Bearer {issuer.token(uuid4(), ['files.upload'])}"
    with usual(url, "orm", issuer.public_key, folder=folder) as server:
        host, _, port = server.address.rpartition(":")
        headers = head(host, int(port), authorization=bearer, connection="close")

        async def stored() -> tuple[str, float]:
            parts, sha256 = contents.next()
            form = b"%bcontent-type: multipart/form-data; boundary=bench\r\ncontent-length: %d\r\n" % (
                headers,
                len(_FORM_BEGIN) + contents.size + len(_FORM_END),
            )
            began = time.perf_counter()
            asked = b"POST /files HTTP/1.1\r\n%b\r\n" % form
            _, answer = await sent(server.address, asked, (_FORM_BEGIN, *parts, _FORM_END), 201)
            seconds, file = time.perf_counter() - began, orjson.loads(answer)
            if file["sha256"] != sha256:
                raise Unexpected("the file has another SHA-256 than what was sent")
            return str(file["id"]), seconds

        async def upload() -> float:
            return (await stored())[1]

        kept, _ = await stored()

        async def download() -> float:
            began = time.perf_counter()
            asked = b"GET /files/%b HTTP/1.1\r\n%b\r\n" % (kept.encode(), headers)
            _check_count(await received(server.address, asked), contents.size)
            return time.perf_counter() - began

        cpu, size = cpu_of(server.pid), contents.size
        yield FileServer(
            Way("the usual stack (UploadFile)", cpu, size, upload),
            Way("the usual stack (StreamingResponse)", cpu, size, download),
        )


def disk_alone(contents: Contents, folder: Path) -> Way:
    """The same bytes, written to a file and synced by nothing but that: no upload that is durable can be faster."""

    def write(parts: list[bytes]) -> None:
        place = folder / "disk"
        with place.open("wb", buffering=0) as file:
            for part in parts:
                file.write(part)
            os.fsync(file.fileno())
        place.unlink()

    async def upload() -> float:
        parts, _ = contents.next()
        began = time.perf_counter()
        await asyncio.to_thread(write, parts)
        return time.perf_counter() - began

    return Way("the disk alone", time.process_time, contents.size, upload)


def _chunks(file_id: str, parts: list[bytes]) -> Iterator[pb.WriteChunksRequest]:
    for place, part in enumerate(parts):
        yield pb.WriteChunksRequest(file_id=file_id, offset=place * PART_BYTES, data=part, crc32c=value(part))


async def _counted(answers: "grpc.aio.UnaryStreamCall[Any, pb.DownloadFileResponse]", size: int) -> None:
    received = 0
    async for answer in answers:
        received += len(answer.data)
    _check_count(received, size)


def _check_count(received: int, size: int) -> None:
    if received != size:
        raise Unexpected(f"{received} bytes of {size}")

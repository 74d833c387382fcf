"""Files: uploaded and downloaded over one stream after the other, with all that makes them durable and checked."""

import asyncio
import hashlib
import os
import shutil
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
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
from bench.peers.echo import PART_BYTES
from bench.peers.http1 import Connection, head
from bench.peers.serving import echo, usual
from bench.peers.usual.issuing import TokenIssuer
from bench.rounds import Side, rounds
from bench.row import Row, row
from bench.setting import Bench
from load.order_requests import Unexpected

_BYTES, _BYTES_IN_SHORT = 512 * 1024 * 1024, 128 * 1024 * 1024
_LEAST_OF_ECHO, _LEAST_OF_USUAL = 0.5, 2.0


@dataclass(frozen=True, slots=True)
class Transfers:
    """One system, of which a whole file is sent to it, and received."""

    name: str
    upload: Callable[[], Awaitable[str]]
    """The id of a new file, once all of it is stored."""
    download: Callable[[str], Awaitable[None]]
    served: Callable[[str], Awaitable[None]] | None = None
    """Returns once it may be downloaded; None where that is at once."""


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


async def transferring(bench: Bench) -> list[Row]:
    size = _BYTES if bench.long else _BYTES_IN_SHORT
    folder = Path(tempfile.mkdtemp(prefix="backroom-bench-"))
    contents, found = Contents(size), list[Row]()
    try:
        async with (
            _ours(bench, contents, folder / "ours") as ours,
            _usual(bench, contents, folder) as stack,
            _echo(contents) as bare,
        ):
            for way in ("upload", "download"):
                sides = [_side(way, each, contents) for each in (ours, stack, bare, _disk(contents, folder))]
                await rounds(bench, *sides[: 4 if way == "upload" else 3])
                measured = f"{way} of {size >> 20} MiB"
                goals = (_LEAST_OF_USUAL, _LEAST_OF_ECHO, None)
                for side, goal in zip(sides[1:], goals, strict=True):
                    if side.figures:
                        pairs = list(zip(sides[0].figures, side.figures, strict=True))
                        found.append(row(measured, "MB/s", pairs, against=side.name, goal=goal))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return found


def _side(way: str, system: Transfers, contents: Contents) -> Side[float]:
    async def measure() -> float:
        if way == "upload":
            began = time.perf_counter()
            await system.upload()
        else:
            file_id = await system.upload()
            if system.served is not None:
                await system.served(file_id)
            began = time.perf_counter()
            await system.download(file_id)
        return contents.size / (time.perf_counter() - began) / 1e6

    return Side(system.name, measure)


@asynccontextmanager
async def _ours(bench: Bench, contents: Contents, folder: Path) -> AsyncIterator[Transfers]:
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
        metadata, files = (("authorization", f"Bearer {token}"),), FileServiceStub(channel)

        async def upload() -> str:
            parts, sha256 = contents.next()
            request = pb.CreateUploadRequest(name="a.bin", size_bytes=contents.size)
            file_id = (await files.CreateUpload(request, metadata=metadata)).upload.file.file_id
            await files.WriteChunks(_chunks(file_id, parts), metadata=metadata)
            complete = pb.CompleteUploadRequest(file_id=file_id, size_bytes=contents.size, sha256=sha256)
            await files.CompleteUpload(complete, metadata=metadata)
            return file_id

        async def download(file_id: str) -> None:
            await _counted(files.DownloadFile(pb.DownloadFileRequest(file_id=file_id), metadata=metadata), contents)

        async def served(file_id: str) -> None:
            """Returns once it was scanned, as far as this server is set to."""
            waiting = (files_pb2.FILE_STATE_STORED, files_pb2.FILE_STATE_SCANNING)
            request = pb.GetFileRequest(file_id=file_id)
            async with asyncio.timeout(60):
                while (await files.GetFile(request, metadata=metadata)).file.state in waiting:  # noqa: ASYNC110 - nobody announces it
                    await asyncio.sleep(0.05)

        yield Transfers("Backroom", upload, download, served)


@asynccontextmanager
async def _echo(contents: Contents) -> AsyncIterator[Transfers]:
    with echo() as server:
        async with grpc.aio.insecure_channel(server.address) as channel:
            files = FileServiceStub(channel)

            async def upload() -> str:
                parts, _ = contents.next()
                answer = await files.WriteChunks(_chunks(str(uuid4()), parts))
                if answer.upload.received_bytes != contents.size:
                    raise NoEcho
                return ""

            async def download(_file_id: str) -> None:
                await _counted(files.DownloadFile(pb.DownloadFileRequest(length=contents.size)), contents)

            yield Transfers("the bare echo", upload, download)


@asynccontextmanager
async def _usual(bench: Bench, contents: Contents, folder: Path) -> AsyncIterator[Transfers]:
    url, issuer = bench.empty_database("transferring_usual"), TokenIssuer()
    bearer = f"Bearer {issuer.token(uuid4(), ['files.upload'])}"
    with usual(url, "orm", issuer.public_key, folder=folder) as server:
        host, _, port = server.address.rpartition(":")
        begin = (
            b'--bench\r\ncontent-disposition: form-data; name="file"; filename="a.bin"\r\n'
            b"content-type: application/octet-stream\r\n\r\n"
        )
        end = b"\r\n--bench--\r\n"
        headers = head(host, int(port), authorization=bearer)
        form = head(host, int(port), authorization=bearer, content_type="multipart/form-data; boundary=bench")

        async def upload() -> str:
            parts, sha256 = contents.next()
            connection = await Connection.open(host, int(port))
            status, answer = await connection.call(b"POST", b"/files", form, b"".join((begin, *parts, end)))
            await connection.close()
            stored = orjson.loads(answer)
            if status != 201 or stored["sha256"] != sha256:
                raise Unexpected(f"{status}: {answer.decode(errors='replace'):.200}")
            return str(stored["id"])

        async def download(file_id: str) -> None:
            reader, writer = await asyncio.open_connection(host, int(port), limit=PART_BYTES)
            writer.write(b"GET /files/%b HTTP/1.1\r\n%bconnection: close\r\n\r\n" % (file_id.encode(), headers))
            answered = await reader.readuntil(b"\r\n\r\n")
            received = 0
            while part := await reader.read(PART_BYTES):
                received += len(part)
            writer.close()
            if b" 200 " not in answered.partition(b"\r\n")[0] or received != contents.size:
                raise Unexpected(f"{received} bytes of {contents.size}: {answered[:100]!r}")

        yield Transfers("the usual stack (UploadFile)", upload, download)


def _disk(contents: Contents, folder: Path) -> Transfers:
    """The same bytes, written to a file and synced by nothing but that: no upload that is durable can be faster."""

    def write() -> None:
        parts, _ = contents.next()
        place = folder / "disk"
        with place.open("wb", buffering=0) as file:
            for part in parts:
                file.write(part)
            os.fsync(file.fileno())
        place.unlink()

    async def upload() -> str:
        await asyncio.to_thread(write)
        return ""

    async def download(_file_id: str) -> None:
        """Nothing is compared with it."""

    return Transfers("the disk alone", upload, download)


def _chunks(file_id: str, parts: list[bytes]) -> Iterator[pb.WriteChunksRequest]:
    for place, part in enumerate(parts):
        yield pb.WriteChunksRequest(file_id=file_id, offset=place * PART_BYTES, data=part, crc32c=value(part))


async def _counted(answers: "grpc.aio.UnaryStreamCall[Any, pb.DownloadFileResponse]", contents: Contents) -> None:
    received = 0
    async for answer in answers:
        received += len(answer.data)
    if received != contents.size:
        raise Unexpected(f"{received} bytes of {contents.size}")

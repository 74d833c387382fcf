"""Files, and what callers ask for, for tests of files."""

import hashlib
import random
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import structlog
import uuid_utils.compat
from google_crc32c import value
from prometheus_client import CollectorRegistry

from backroom.files.v1 import file_service_pb2 as pb
from backroom.files.v1 import files_pb2
from server.files.blobs import owner
from server.files.blobs.folder import FolderBlobs
from server.files.scanning import Findings, ScannerUnavailable
from server.files.service import Scanning, Sweeping
from storage.database import Database
from storage.files.laws import LAWS
from storage.files.records import Outcome
from storage.files.store import FILES
from tests.fixtures.applications import FILES_FOLDER
from tests.fixtures.servers import Api, Running, keep_in

CHUNK = 256 * 1024
SIGNATURE = b"X-MALICE-X"
"""What `TestScanner` finds."""


def fresh() -> str:
    return str(uuid4())


def content_of(size: int, seed: int = 0) -> bytes:
    """Bytes that are like no others, and the same each time."""
    return random.Random(seed * 1_000_003 + size).randbytes(size)  # noqa: S311 - not a secret


def sha256_of(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


async def created(api: Api, size: int, name: str = "a.bin", **rest: Any) -> files_pb2.Upload:
    """A new upload."""
    request = pb.CreateUploadRequest(request_id=fresh(), name=name, size_bytes=size, **rest)
    upload: files_pb2.Upload = (await api.files.CreateUpload(request)).upload
    return upload


def chunks(file_id: str, content: bytes, offset: int = 0, *, size: int = CHUNK) -> Iterator[pb.WriteChunksRequest]:
    """The chunks of a content from an offset on."""
    for place in range(offset, len(content), size):
        data = content[place : place + size]
        yield pb.WriteChunksRequest(file_id=file_id, offset=place, data=data, crc32c=value(data))


async def written(api: Api, file_id: str, content: bytes, offset: int = 0, *, size: int = CHUNK) -> files_pb2.Upload:
    upload: files_pb2.Upload = (await api.files.WriteChunks(chunks(file_id, content, offset, size=size))).upload
    return upload


async def got(api: Api, file_id: str) -> files_pb2.Upload:
    upload: files_pb2.Upload = (await api.files.GetUpload(pb.GetUploadRequest(file_id=file_id))).upload
    return upload


def complete(file_id: str, content: bytes) -> pb.CompleteUploadRequest:
    return pb.CompleteUploadRequest(
        request_id=fresh(), file_id=file_id, size_bytes=len(content), sha256=sha256_of(content)
    )


async def uploaded(api: Api, content: bytes, name: str = "a.bin", **rest: Any) -> files_pb2.File:
    """A file whose upload is completed."""
    file_id = (await created(api, len(content), name, **rest)).file.file_id
    if content:
        await written(api, file_id, content)
    file: files_pb2.File = (await api.files.CompleteUpload(complete(file_id, content))).file
    return file


async def found(api: Api, file_id: str) -> files_pb2.File:
    file: files_pb2.File = (await api.files.GetFile(pb.GetFileRequest(file_id=file_id))).file
    return file


async def downloaded(api: Api, file_id: str, offset: int = 0, length: int = 0) -> bytes:
    """The bytes, each part of which continues the one before it and has its checksum."""
    request = pb.DownloadFileRequest(file_id=file_id, offset=offset, length=length)
    received = bytearray()
    async for answer in api.files.DownloadFile(request):
        if answer.HasField("file"):
            assert answer.file.file_id == file_id
            continue
        assert answer.offset == offset + len(received)
        assert answer.crc32c == value(answer.data)
        received += answer.data
    return bytes(received)


async def deleted(api: Api, file_id: str, **rest: Any) -> None:
    await api.files.DeleteFile(pb.DeleteFileRequest(request_id=fresh(), file_id=file_id, **rest))


@dataclass
class SearchingScanner:
    """Finds SIGNATURE in what it reads; it can be away, have a limit, and get other signatures."""

    version: str = "1"
    largest: int = 1 << 40
    away: bool = False
    known: bytes = SIGNATURE
    scanned: list[int] = field(default_factory=list)
    """The sizes of what it was given, in their order."""

    @property
    def name(self) -> str:
        return "searching"

    async def signatures(self) -> str:
        if self.away:
            raise ScannerUnavailable("it is away")
        return self.version

    async def scan(self, size_bytes: int, content: AsyncIterator[bytes]) -> Findings:
        self.scanned.append(size_bytes)
        if size_bytes > self.largest:
            return Findings(Outcome.UNSCANNABLE, "too large")
        whole = b"".join([part async for part in content])
        assert len(whole) == size_bytes
        if self.known in whole:
            return Findings(Outcome.INFECTED, "Test.Malice", "application/octet-stream")
        return Findings(Outcome.CLEAN, content_type="application/octet-stream")


@dataclass
class Behind:
    """What works behind the answers of a server, run by a test."""

    database: Database
    scanner: SearchingScanner = field(default_factory=SearchingScanner)
    later: timedelta = timedelta(0)
    """How far its clock is ahead."""
    log: list[dict[str, Any]] = field(default_factory=list)
    registry: CollectorRegistry = field(default_factory=CollectorRegistry)
    folder: Path = FILES_FOLDER

    def __post_init__(self) -> None:
        self.blobs = FolderBlobs(self.folder)
        store, logger = self.database.store(FILES), structlog.wrap_logger(None, processors=[keep_in(self.log)])
        new_id = uuid_utils.compat.uuid7
        self.scanning = Scanning(store, self.blobs, self.scanner, self.now, new_id, logger, self.registry)
        self.sweeping = Sweeping(store, self.blobs, self.now, logger, self.registry)

    def now(self) -> datetime:
        return datetime.now(UTC) + self.later

    def swept(self, kind: str, outcome: str = "deleted") -> float:
        """What the metric says."""
        labels = {"kind": kind, "outcome": outcome}
        return self.registry.get_sample_value("backroom_files_swept_total", labels) or 0.0

    async def objects(self) -> Sequence[str]:
        """The keys of all objects in the folder, but for the one that says whose it is."""
        return sorted([blob.key async for page in self.blobs.list() for blob in page if blob.key != owner.KEY])


async def clean(server: Running, api: Api, content: bytes, name: str = "a.bin", **rest: Any) -> files_pb2.File:
    """A file that was scanned and is served."""
    file = await uploaded(api, content, name, **rest)
    await Behind(server.database).scanning.scan_due()
    served = await found(api, file.file_id)
    assert served.state == files_pb2.FILE_STATE_CLEAN
    return served


async def laws_hold(server: Running) -> None:
    assert [each for each in await server.database.check(LAWS) if each.violations] == []


async def broken(messages: Iterator[pb.WriteChunksRequest], count: int) -> AsyncGenerator[pb.WriteChunksRequest, None]:
    """The first messages of a stream that then breaks."""
    for _ in range(count):
        yield next(messages)
    raise ConnectionResetError

"""Sends a large file to a server and gets it back, by gRPC and over HTTP, each cut off in the middle and continued.

It prints how long each took and how much memory the server had meanwhile, and exits with code 1 where a digest differs
or the memory grew beyond its bound. It needs twice the size on the disk.
"""

import argparse
import asyncio
import hashlib
import os
import sys
import tempfile
import time
from collections.abc import Awaitable, Iterator, Mapping
from dataclasses import dataclass, field
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import grpc
import structlog
import uvloop
from google_crc32c import value

import migrations
from backroom.files.v1 import file_service_pb2 as pb
from backroom.files.v1 import files_pb2
from server.application import Application
from storage.database import Database
from storage.embedded import temporary_postgres
from tests.files.calling import CHUNK, created, deleted, found, fresh, got
from tests.fixtures.applications import application_of
from tests.fixtures.keys import MASTER_KEYS
from tests.fixtures.processes import ServerProcess, serving
from tests.fixtures.servers import Api, sign_in

_MIB = 1024 * 1024
_MOST_MIB = 64
"""By how much one transfer may let the server's memory grow."""
_SAMPLE_SECONDS = 0.1
_COMPLETING_SECONDS = 1_800
_WRITE = "/backroom.files.v1.FileService/WriteChunks"


@dataclass
class Content:
    """Chunks that are all different, made as they are sent."""

    size: int
    seed: int
    _rest: bytes = field(default_factory=lambda: os.urandom(CHUNK - 16))
    digests: dict[int, "hashlib._Hash"] = field(default_factory=dict)

    def chunk(self, offset: int) -> bytes:
        whole = self.seed.to_bytes(8) + offset.to_bytes(8) + self._rest
        return whole[: min(CHUNK, self.size - offset)]

    def chunks(self, begin: int, end: int) -> Iterator[tuple[int, bytes]]:
        """From an offset, which may be within a chunk, to another one."""
        offset = begin
        while offset < end:
            first = offset - offset % CHUNK
            data = self.chunk(first)[offset - first : end - first]
            yield offset, data
            offset += len(data)

    def sha256(self) -> str:
        digest = hashlib.sha256()
        for _, data in self.chunks(0, self.size):
            digest.update(data)
        return digest.hexdigest()


class Memory:
    """What a process has in memory of its own, sampled while something is done."""

    def __init__(self, pid: int) -> None:
        self._status = Path(f"/proc/{pid}/status")

    def now(self) -> float:
        """In MiB, without what it maps of files."""
        for line in self._status.read_text().splitlines():
            if line.startswith("RssAnon:"):
                return int(line.split()[1]) / 1024
        raise ValueError(f"{self._status} does not say RssAnon")

    async def highest(self, work: Awaitable[str]) -> tuple[str, float]:
        """What the work returns, and the most memory meanwhile."""
        task, most = asyncio.ensure_future(work), self.now()
        while not task.done():
            await asyncio.wait([task], timeout=_SAMPLE_SECONDS)
            most = max(most, self.now())
        return await task, most


@dataclass
class Proof:
    """One run on one server."""

    application: Application
    server: ServerProcess
    channel: grpc.aio.Channel
    size: int
    failures: list[str] = field(default_factory=list)

    async def run(self) -> None:
        memory = Memory(self.server.process.pid)
        for place, upload in enumerate((self.upload_by_grpc, self.upload_by_tus)):
            content = Content(self.size, place)
            wanted = await asyncio.to_thread(content.sha256)
            api = await self.caller()
            file_id = await self._measured(memory, upload.__doc__, upload(api, content, wanted))
            await self.served(api, file_id)
            for download in (self.download_by_link, self.download_by_grpc):
                api = await self.caller()
                digest = await self._measured(memory, download.__doc__, download(api, file_id))
                if digest != wanted:
                    self.failures.append(f"{download.__doc__}: its SHA-256 is {digest}, and not {wanted}")
            await deleted(await self.caller(), file_id)

    async def _measured(self, memory: Memory, what: str | None, work: Awaitable[str]) -> str:
        before, began = memory.now(), time.monotonic()
        answer, most = await memory.highest(work)
        seconds = time.monotonic() - began
        print(
            f"| {what} | {seconds:,.0f} s | {self.size / seconds / 1e6:,.0f} MB/s"
            f" | {before:.0f} MiB | {most:.0f} MiB | {memory.now():.0f} MiB |",
            flush=True,
        )
        if most - before > _MOST_MIB:
            self.failures.append(f"{what}: the memory grew by {most - before:.0f} MiB")
        return answer

    async def caller(self) -> Api:
        """Another account each time, since a token is short-lived; it may do all with the files of others."""
        return await sign_in(self.application, self.channel, ["admin"])

    async def upload_by_grpc(self, api: Api, content: Content, sha256: str) -> str:
        """upload by gRPC, with the digest checked"""
        file_id = (await created(api, self.size)).file.file_id
        stub = api.channel.stream_unary(
            _WRITE, pb.WriteChunksRequest.SerializeToString, pb.WriteChunksResponse.FromString
        )
        call = stub(metadata=(("authorization", f"Bearer {api.token}"),))
        for message in _messages(file_id, content, 0, self.size // 2):
            await call.write(message)
        call.cancel()
        received = await self._settled(api, file_id)
        await api.files.WriteChunks(_messages(file_id, content, received, self.size))
        return await self._completed(api, file_id, sha256)

    async def upload_by_tus(self, api: Api, content: Content, sha256: str) -> str:
        """upload by tus, with the digest checked"""
        token = {"Authorization": f"Bearer {api.token}", "Tus-Resumable": "1.0.0"}
        path = await asyncio.to_thread(self._created_by_tus, token)
        await asyncio.to_thread(self._patch, token, path, content, 0, self.size // 2)
        file_id = path.rpartition("/")[2]
        received = await self._settled(api, file_id)
        await asyncio.to_thread(self._patch, token, path, content, received, self.size)
        file = await found(api, file_id)
        if file.sha256 != sha256:
            self.failures.append(f"the upload by tus has the SHA-256 {file.sha256}, and not {sha256}")
        return file_id

    async def _settled(self, api: Api, file_id: str) -> int:
        """Where to continue from, once the server has stored what came before the cut."""
        received = -1
        while received != (received := (await got(api, file_id)).received_bytes):  # noqa: ASYNC110 - nobody announces it
            await asyncio.sleep(2)
        if not 0 < received < self.size:
            self.failures.append(f"{received} bytes were stored of an upload that was cut off in its middle")
        return received

    async def _completed(self, api: Api, file_id: str, sha256: str) -> str:
        request = pb.CompleteUploadRequest(request_id=fresh(), file_id=file_id, size_bytes=self.size, sha256=sha256)
        async with asyncio.timeout(_COMPLETING_SECONDS):
            while True:
                try:
                    await api.files.CompleteUpload(request)
                except grpc.aio.AioRpcError as error:
                    if error.code() is not grpc.StatusCode.DEADLINE_EXCEEDED:
                        raise
                else:
                    return file_id

    async def served(self, api: Api, file_id: str) -> None:
        waiting = (files_pb2.FILE_STATE_STORED, files_pb2.FILE_STATE_SCANNING)
        async with asyncio.timeout(_COMPLETING_SECONDS):
            while (await found(api, file_id)).state in waiting:  # noqa: ASYNC110 - nobody announces it
                await asyncio.sleep(0.5)

    async def download_by_grpc(self, api: Api, file_id: str) -> str:
        """download by gRPC"""
        digest, received = hashlib.sha256(), 0
        for end in (self.size // 2, self.size):
            call = api.files.DownloadFile(pb.DownloadFileRequest(file_id=file_id, offset=received))
            async for answer in call:
                digest.update(answer.data)
                received += len(answer.data)
                if received >= end:
                    break
            call.cancel()
        return digest.hexdigest()

    async def download_by_link(self, api: Api, file_id: str) -> str:
        """download by a link"""
        path = (await api.files.CreateDownloadLink(pb.CreateDownloadLinkRequest(file_id=file_id))).path
        digest = hashlib.sha256()

        def receive() -> None:
            received, buffer = 0, memoryview(bytearray(_MIB))
            for end in (self.size // 2, self.size):
                connection = self._connected()
                connection.request("GET", path, headers={"Range": f"bytes={received}-"})
                answer = connection.getresponse()
                while received < end and (count := answer.readinto(buffer)):
                    digest.update(buffer[:count])
                    received += count
                connection.close()

        await asyncio.to_thread(receive)
        return digest.hexdigest()

    def _created_by_tus(self, token: Mapping[str, str]) -> str:
        connection = self._connected()
        connection.request("POST", "/files/uploads", headers={**token, "Upload-Length": str(self.size)})
        path = connection.getresponse().headers["location"]
        connection.close()
        return str(path)

    def _patch(self, token: Mapping[str, str], path: str, content: Content, begin: int, end: int) -> None:
        """Sends bytes up to the end; where that is not the content's, the connection is cut off."""
        connection = self._connected()
        connection.putrequest("PATCH", path)
        said = {
            "Content-Type": "application/offset+octet-stream",
            "Upload-Offset": str(begin),
            "Content-Length": str(self.size - begin),
        }
        for name, text in {**token, **said}.items():
            connection.putheader(name, text)
        connection.endheaders()
        for _, data in content.chunks(begin, end):
            connection.send(data)
        if end == self.size and (status := connection.getresponse().status) != 204:
            self.failures.append(f"the upload by tus was answered with {status}")
        connection.close()

    def _connected(self) -> HTTPConnection:
        return HTTPConnection("127.0.0.1", self.server.http_port, timeout=_COMPLETING_SECONDS)


def _messages(file_id: str, content: Content, begin: int, end: int) -> Iterator[pb.WriteChunksRequest]:
    for offset, data in content.chunks(begin, end):
        yield pb.WriteChunksRequest(file_id=file_id, offset=offset, data=data, crc32c=value(data))


async def prove(url: str, folder: Path, size: int) -> list[str]:
    """What went wrong."""
    settings: dict[str, Any] = {
        "BACKROOM_FILES_STORAGE": str(folder),
        "BACKROOM_FILES_SCANNER": "none",
        "BACKROOM_FILES_LARGEST_BYTES": str(max(size, 1)),
        "BACKROOM_FILES_QUOTA_BYTES": str(2**50),
    }
    database = Database(url, audit_key=MASTER_KEYS.audit_key, pool_size=2)
    logger: structlog.typing.FilteringBoundLogger = structlog.wrap_logger(None, processors=[])
    try:
        async with (
            serving(url, **settings) as server,
            grpc.aio.insecure_channel(server.address) as channel,
        ):
            proof = Proof(application_of(database, logger), server, channel, size)
            await proof.run()
            return proof.failures
    finally:
        await database.close()


def main() -> None:
    parser = argparse.ArgumentParser("python -m tests.files.proving", description=__doc__)
    parser.add_argument("--mib", type=int, default=1024, help="how large the file is")
    size = parser.parse_args().mib * _MIB
    print(
        "| what | time | speed | memory before | at most | after |\n| --- | --- | --- | --- | --- | --- |", flush=True
    )
    with (
        temporary_postgres(durable=True) as url,
        tempfile.TemporaryDirectory(prefix="backroom-files-") as folder,
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        migrations.upgrade(url)
        failures = runner.run(prove(url, Path(folder), size))
    for failure in failures:
        print(failure)
    sys.exit(bool(failures))


if __name__ == "__main__":
    main()

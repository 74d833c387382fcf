"""Files in servers that are processes of their own: how much memory a stream takes, and S3 as the storage."""

from typing import Any

import grpc
import pytest

from backroom.files.v1 import file_service_pb2 as pb
from storage.database import Database
from tests.files.calling import CHUNK, chunks, complete, content_of, created, downloaded, found, got, written
from tests.fixtures.processes import serving
from tests.fixtures.s3 import S3
from tests.fixtures.servers import Api, quick_passwords, running
from tests.fixtures.trading import eventually

pytestmark = pytest.mark.slow

_MIB = 1024 * 1024
_LARGE = 512 * _MIB
_MOST_OF_A_STREAM = 64 * _MIB


def status_of(pid: int, name: str) -> int:
    """A line of /proc/PID/status, in bytes."""
    with open(f"/proc/{pid}/status", encoding="ascii") as lines:  # noqa: PTH123 - as every process has it
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{name}:"))


def forget_peak(pid: int) -> int:
    """Has the peak of a process's memory begin anew, and returns what it has now."""
    with open(f"/proc/{pid}/clear_refs", "w", encoding="ascii") as control:  # noqa: PTH123 - the same
        control.write("5")
    return status_of(pid, "VmRSS")


async def test_a_large_file_goes_through_in_bounded_memory(database: Database, database_url: str) -> None:
    """Up and down, however large: each takes less than 64 MiB more than the server has without it."""
    content = content_of(_MIB) * (_LARGE // _MIB)
    async with (
        serving(database_url, BACKROOM_FILES_SCANNER="none") as server,
        grpc.aio.insecure_channel(server.address) as channel,
        running(database, passwords=quick_passwords()) as here,
    ):
        staff, pid = Api(channel, (await here.sign_in("staff")).token), server.process.pid
        await served(staff, content_of(10 * _MIB))  # what is loaded or allocated once is there
        before = forget_peak(pid)
        file_id = await served(staff, content)
        assert status_of(pid, "VmHWM") - before < _MOST_OF_A_STREAM
        before, received = forget_peak(pid), 0
        async for answer in staff.files.DownloadFile(pb.DownloadFileRequest(file_id=file_id)):
            received += len(answer.data)
        assert received == _LARGE
        assert status_of(pid, "VmHWM") - before < _MOST_OF_A_STREAM


async def served(api: Api, content: bytes) -> str:
    file_id = (await created(api, len(content))).file.file_id
    await written(api, file_id, content)
    await api.files.CompleteUpload(complete(file_id, content))
    await eventually(lambda: found(api, file_id), lambda file: file.verdict.scanner == "none")
    return file_id


async def test_uploads_are_stored_in_s3_and_continued_by_another_server(
    database: Database, database_url: str, s3: S3
) -> None:
    """Which reads again what the first one received."""
    content = content_of(20 * _MIB + 7)
    environment: Any = {**s3.environment, "BACKROOM_FILES_SCANNER": "none"}
    async with (
        serving(database_url, **environment) as one,
        serving(database_url, **environment) as two,
        grpc.aio.insecure_channel(one.address) as first,
        grpc.aio.insecure_channel(two.address) as second,
        running(database, passwords=quick_passwords()) as here,
    ):
        token = (await here.sign_in("staff")).token
        apis = [Api(channel, token) for channel in (first, second)]
        file_id = (await created(apis[0], len(content))).file.file_id
        await apis[0].files.WriteChunks(chunks(file_id, content[: 9 * _MIB + CHUNK]))
        received = (await got(apis[1], file_id)).received_bytes
        assert received == 9 * _MIB + CHUNK
        await written(apis[1], file_id, content, received)
        await apis[1].files.CompleteUpload(complete(file_id, content))
        await eventually(lambda: found(apis[0], file_id), lambda file: file.verdict.scanner == "none")
        for api in apis:
            assert await downloaded(api, file_id) == content
            assert await downloaded(api, file_id, 5 * _MIB, 3) == content[5 * _MIB : 5 * _MIB + 3]

"""Uploads that break, at servers that are killed: what was acknowledged is there, and no half file is served."""

import asyncio
import os
import random
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import grpc
import pytest

from backroom.files.v1 import file_service_pb2 as pb
from backroom.files.v1 import files_pb2
from storage.database import Database
from storage.files.laws import LAWS
from tests.files.calling import (
    CHUNK,
    Behind,
    chunks,
    complete,
    content_of,
    created,
    deleted,
    downloaded,
    found,
    fresh,
    got,
    sha256_of,
    written,
)
from tests.fixtures.forking import ForkedProcess, forked
from tests.fixtures.processes import Pair
from tests.fixtures.servers import Api, Running, quick_passwords, refusal, running

_STEPS = ("append", "finish", "rename", "sync", "record", "join", "assemble", "complete", "committed")
_KILLED_AT = tuple(f"{moment} {step}" for step in _STEPS for moment in ("before", "after"))
_UPLOADS, _PROVEN_UPLOADS = 30, 1_000
_AT_ONCE = 12
_WRITE = "/backroom.files.v1.FileService/WriteChunks"


@pytest.fixture
async def healthy(database: Database, tmp_path: Path) -> AsyncIterator[Running]:
    """A server that stores files in a folder that is the test's alone."""
    async with running(database, files_storage=str(tmp_path / "files"), passwords=quick_passwords()) as opened:
        yield opened


@asynccontextmanager
async def dying(url: str, folder: Path, point: str, count: int = 1) -> AsyncIterator[ForkedProcess]:
    """A process that ends at a point; it must have, when the block ends."""
    where = (url, str(folder), *point.split(), str(count))
    process = await forked("tests.faults.dying_uploader", *where, environment=os.environ)
    try:
        yield process
        assert await asyncio.wait_for(process.wait(), 120) == -signal.SIGKILL
    finally:
        process.kill()
        await process.wait()


@pytest.mark.parametrize("point", _KILLED_AT)
async def test_an_upload_survives_the_death_of_its_server(
    healthy: Running, database_url: str, tmp_path: Path, point: str
) -> None:
    """At each step of it: what was acknowledged is there, it is continued elsewhere, and nothing is left in the end."""
    customer, content = await healthy.sign_in("customer"), content_of(3 * CHUNK + 5)
    behind = Behind(healthy.database, folder=tmp_path / "files")
    file_id = (await created(customer, len(content))).file.file_id
    acknowledged = 0
    if not point.endswith(" join"):  # which is of pieces that one server has received
        acknowledged = (await written(customer, file_id, content[:CHUNK])).received_bytes
    async with dying(database_url, tmp_path / "files", point) as process:
        port = int(await asyncio.wait_for(process.stdout.readline(), 120))
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            there = Api(channel, customer.token)
            try:
                for end in (CHUNK, len(content)) if acknowledged == 0 else (len(content),):
                    acknowledged = (await written(there, file_id, content[:end], acknowledged)).received_bytes
                await there.files.CompleteUpload(complete(file_id, content))
            except grpc.aio.AioRpcError as error:
                assert error.code() is grpc.StatusCode.UNAVAILABLE  # noqa: PT017 - by which of the two is chance
    if (await found(customer, file_id)).state == files_pb2.FILE_STATE_UPLOADING:
        assert (await refusal(downloaded(customer, file_id))).reason == "FILE_NOT_SERVED"
        received = (await got(customer, file_id)).received_bytes
        assert received >= acknowledged
        if received < len(content):
            await written(customer, file_id, content, received)
    await customer.files.CompleteUpload(complete(file_id, content))
    await behind.scanning.scan_due()
    assert await downloaded(customer, file_id) == content
    await swept(behind, objects=1)
    assert await downloaded(customer, file_id) == content
    await deleted(customer, file_id)
    await swept(behind, objects=0)


@pytest.mark.parametrize("point", ["before delete", "after delete", "before forget", "after forget"])
async def test_what_is_deleted_is_gone_though_the_worker_dies(
    healthy: Running, database_url: str, tmp_path: Path, point: str
) -> None:
    """Before the objects go, between the two, and after it: the next worker ends it."""
    customer = await healthy.sign_in("customer")
    behind = Behind(healthy.database, folder=tmp_path / "files")
    for seed in range(3):
        file_id = (await created(customer, 10)).file.file_id
        await written(customer, file_id, content_of(10, seed))
        await deleted(customer, file_id)
    async with dying(database_url, tmp_path / "files", point):
        pass
    await swept(behind, objects=0)


async def swept(behind: Behind, *, objects: int) -> None:
    """What the sweeps leave, a day later, is what belongs to a file, and all laws hold."""
    behind.later = timedelta(hours=25)
    await behind.sweeping.delete_objects()
    await behind.sweeping.sweep_orphans()
    behind.later = timedelta(0)
    assert len(await behind.objects()) == objects
    assert [each for each in await behind.database.check(LAWS) if each.violations] == []


async def interrupted(apis: list[Api], seed: int) -> int:
    """An upload that breaks now and then and continues, half of the time at another server; how often it broke."""
    chosen = random.Random(seed)  # noqa: S311 - not a secret
    content = content_of(chosen.randrange(1, 12 * CHUNK), seed)
    place = seed % len(apis)
    file_id = (await created(apis[place], len(content))).file.file_id
    broken, received = 0, 0
    while received < len(content):
        left = [*chunks(file_id, content, received, size=chosen.choice((CHUNK, CHUNK // 7)))]
        cut = chosen.randrange(len(left)) if broken < 3 else len(left)
        if cut < len(left):
            await cut_off(apis[place], left[: cut + 1], chosen.random() / 20)
            broken += 1
            place = (place + chosen.randrange(2)) % len(apis)
        else:
            await continued(apis[place], left)
        received = (await got(apis[place], file_id)).received_bytes
    done = (await apis[place].files.CompleteUpload(complete(file_id, content))).file
    assert done.sha256 == sha256_of(content)
    return broken


async def continued(api: Api, messages: list[pb.WriteChunksRequest]) -> None:
    """Sends messages; where the stream before it was still being stored, the offset is another by now."""
    try:
        await api.files.WriteChunks(iter(messages))
    except grpc.aio.AioRpcError as error:
        assert is_refused(error)  # noqa: PT017 - whether it is refused is chance


def is_refused(error: grpc.aio.AioRpcError) -> bool:
    """Whether a stream was refused for its offset: a client of grpc.aio that still writes then says INTERNAL itself."""
    if error.code() is grpc.StatusCode.INTERNAL:
        return error.details() == "Internal error from Core"
    return error.code() is grpc.StatusCode.ABORTED


async def cut_off(api: Api, messages: list[pb.WriteChunksRequest], seconds: float) -> None:
    """Sends messages, and breaks the stream without an end."""
    stub = api.channel.stream_unary(_WRITE, pb.WriteChunksRequest.SerializeToString, pb.WriteChunksResponse.FromString)
    call = stub(metadata=(("authorization", f"Bearer {api.token}"),))
    try:
        for message in messages:
            await call.write(message)
        await asyncio.sleep(seconds)
    except (grpc.aio.AioRpcError, asyncio.InvalidStateError):
        pass  # the stream before it still stores what it received: the offset is another by now
    finally:
        call.cancel()


@pytest.mark.parametrize("count", [_UPLOADS, pytest.param(_PROVEN_UPLOADS, marks=pytest.mark.proof)])
async def test_interrupted_uploads_are_resumed_to_equal_sums(pair: Pair, count: int) -> None:
    """At two servers, in turn; several at the same time, so that each finds the other's objects beside its own."""
    apis = await pair.sign_in("staff")
    waiting, breaks = iter(range(count)), list[int]()

    async def turn() -> None:
        for seed in waiting:
            breaks.append(await interrupted(apis, seed))

    await asyncio.gather(*(turn() for _ in range(_AT_ONCE)))
    assert len(breaks) == count
    assert sum(breaks) > count // 2
    assert [each for each in await pair.database.check(LAWS) if each.violations] == []


async def test_two_writers_at_two_servers_make_one_file(pair: Pair) -> None:
    """Each chunk is stored once, by whichever was first; the other is told where to continue, and does."""
    apis = await pair.sign_in("customer")
    for seed in range(10):
        content = content_of(9 * CHUNK, seed)
        file_id = (await created(apis[0], len(content))).file.file_id

        async def write_on(api: Api, content: bytes = content, file_id: str = file_id) -> int:
            refused = 0
            while (received := (await got(api, file_id)).received_bytes) < len(content):
                part = content[: min(len(content), received + 2 * CHUNK)]
                try:
                    await written(api, file_id, part, received)
                except grpc.aio.AioRpcError as error:
                    assert is_refused(error)  # noqa: PT017 - whether it is refused is chance
                    refused += 1
            return refused

        await asyncio.gather(*map(write_on, apis))
        request = complete(file_id, content)
        answers = await asyncio.gather(*(api.files.CompleteUpload(request) for api in apis))
        again = pb.CompleteUploadRequest(
            request_id=fresh(), file_id=file_id, size_bytes=len(content), sha256=sha256_of(content)
        )
        answers.append(await apis[1].files.CompleteUpload(again))
        assert {answer.file.sha256 for answer in answers} == {sha256_of(content)}
    assert [each for each in await pair.database.check(LAWS) if each.violations] == []

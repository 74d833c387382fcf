"""What is deleted by itself: what has expired, what was given up, and what belongs to nothing."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

from sqlalchemy import text, update

from server.files.blobs import new_key
from server.files.service import Assembling
from server.files.service.digests import Digests
from server.frame.wire import timestamp
from storage.database import Database
from storage.files.store import FILES
from storage.files.tables import uploads
from tests.files.calling import (
    Behind,
    chunks,
    clean,
    complete,
    content_of,
    created,
    deleted,
    downloaded,
    found,
    got,
    laws_hold,
    uploaded,
    written,
)
from tests.fixtures.servers import Api, Running, refusal
from tests.fixtures.trading import eventually


async def test_files_and_uploads_end_by_themselves(server: Running, customer: Api) -> None:
    """A file when it expires, an upload when nobody continues it; their bytes go, and it is told how many they were."""
    behind = Behind(server.database)
    before = await behind.objects()
    expire_time = timestamp(datetime.now(UTC) + timedelta(hours=1))
    file = await uploaded(customer, content_of(10), expire_time=expire_time)
    started = (await created(customer, 20)).file.file_id
    await written(customer, started, content_of(10, 1))
    behind.later = timedelta(minutes=59)
    await behind.sweeping.expire_files()
    await behind.sweeping.give_up_uploads()
    assert await found(customer, file.file_id) == file
    behind.later = timedelta(hours=25)
    await behind.sweeping.expire_files()
    await behind.sweeping.give_up_uploads()
    await behind.sweeping.delete_objects()
    for file_id in (file.file_id, started):
        assert (await refusal(found(customer, file_id))).reason == "FILE_NOT_FOUND"
    assert (await refusal(got(customer, started))).reason == "FILE_NOT_FOUND"
    assert await behind.objects() == before
    assert [behind.swept(kind) for kind in ("file", "upload", "object")] == [1, 1, 2]
    assert [(line["kind"], line["deleted"], line["failed"]) for line in behind.log] == [
        ("file", 1, 0),
        ("upload", 1, 0),
        ("object", 2, 0),
    ]
    await laws_hold(server)


async def test_an_upload_that_is_continued_just_then_is_not_given_up(server: Running, customer: Api) -> None:
    """Between being found to be due and being deleted: what was acknowledged stays."""
    behind, content = Behind(server.database), content_of(20)
    started = (await created(customer, 20)).file.file_id
    await written(customer, started, content[:10])
    store = server.database.store(FILES)
    async with store.transaction() as tx:
        overdue = update(uploads).values(expire_time=behind.now() - timedelta(seconds=1))
        await tx._connection.execute(overdue.where(uploads.c.file_id == UUID(started)))
    async with store.transaction() as tx:
        await tx.files.lock(UUID(started))
        giving_up = asyncio.create_task(behind.sweeping.give_up_uploads())
        await eventually(lambda: waiting_for_locks(server.database), bool)
        await customer.files.WriteChunks(chunks(started, content, 10))
    await giving_up
    assert (await got(customer, started)).received_bytes == 20
    assert behind.swept("upload") == 0
    await customer.files.CompleteUpload(complete(started, content))


async def waiting_for_locks(database: Database) -> int:
    async with database.store(FILES).reading() as reading:
        return int((await reading._connection.execute(_WAITING)).scalar_one())


_WAITING = text("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'")


async def test_an_object_that_waited_for_its_caller_for_a_day_is_assembled_anew(server: Running, customer: Api) -> None:
    """It belongs to nothing before the upload is completed, and was swept."""
    behind, content = Behind(server.database), content_of(20)
    started = (await created(customer, 20)).file.file_id
    await written(customer, started, content[:10])
    await customer.files.WriteChunks(chunks(started, content, 10))
    store, digests, seconds = server.database.store(FILES), Digests(), [0.0]
    assembling = Assembling(store, behind.blobs, digests, uuid4, lambda: seconds[0])
    async with store.reading() as reading:
        upload = await reading.uploads.find(UUID(started))
    assert upload is not None
    first = await assembling.assemble(upload)
    assert await assembling.assemble(upload) == first
    behind.later, seconds[0] = timedelta(hours=25), timedelta(hours=25).total_seconds()
    await behind.sweeping.sweep_orphans()
    assert first.key not in await behind.objects()
    anew = await assembling.assemble(upload)
    assert anew.sha256 == first.sha256
    assert anew.key in await behind.objects()
    await assembling.close()
    await digests.close()


async def test_objects_that_belong_to_nothing_are_swept(server: Running, customer: Api) -> None:
    """Once they are older than any write that is still to be recorded; what belongs to a file or an upload stays, and
    what others have in the folder."""
    behind, content, orphan = Behind(server.database), content_of(10), new_key(uuid4())
    others = ("lost+found", "objects/notes.txt", f"objects/{uuid4()}", f"{orphan}.bak")
    file = await clean(server, customer, content)
    started = (await created(customer, 20)).file.file_id
    await written(customer, started, content)

    async def rest() -> AsyncIterator[bytes]:
        yield b"left by a server that was killed"

    for key in (orphan, *others):
        await behind.blobs.write(key, rest())
    await behind.sweeping.sweep_orphans()
    assert orphan in await behind.objects()
    behind.later = timedelta(hours=25)
    await behind.sweeping.sweep_orphans()
    assert orphan not in await behind.objects()
    assert behind.swept("orphan") >= 1
    assert {*others} <= {*await behind.objects()}
    await behind.blobs.delete(others)
    assert await downloaded(customer, file.file_id) == content
    await customer.files.WriteChunks(chunks(started, content * 2, 10))
    await customer.files.CompleteUpload(complete(started, content * 2))


async def test_what_cannot_be_deleted_is_told_and_tried_again(server: Running, customer: Api) -> None:
    behind = Behind(server.database)
    file = await uploaded(customer, content_of(10))
    await deleted(customer, file.file_id)
    store = server.database.store(FILES)
    async with store.reading() as reading:
        (key,) = await reading.objects.list_due(behind.now(), 10)
    path = behind.blobs._root / key
    path.unlink()
    path.mkdir()  # which cannot be unlinked
    await behind.sweeping.delete_objects()
    assert (behind.swept("object", "failed"), behind.swept("object")) == (1, 0)
    assert [(line["event"], line["failed"]) for line in behind.log] == [("files_swept", 1)]
    await behind.sweeping.delete_objects()
    assert behind.swept("object", "failed") == 1
    path.rmdir()
    behind.later = timedelta(minutes=2)
    await behind.sweeping.delete_objects()
    assert behind.swept("object") == 1

"""The storage port: a folder and S3 keep the same promises."""

import asyncio
import os
import threading
from collections.abc import AsyncGenerator, AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from server.files.blobs import PART_BYTES, Blob, BlobMissing, Blobs, BlobsUnavailable, folder, owner
from server.files.blobs.configured import blobs_of
from server.files.blobs.folder import FolderBlobs
from server.files.blobs.owner import Owner
from server.files.blobs.reported import ReportedBlobs
from server.files.settings import FilesSettings
from server.frame.settings import Deployment
from tests.files.calling import content_of
from tests.fixtures.applications import QUIET
from tests.fixtures.s3 import ACCESS_KEY, S3, SECRET_KEY

_MIB = 1024 * 1024


@pytest.fixture(params=["folder", pytest.param("s3", marks=pytest.mark.slow)])
async def blobs(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Blobs]:
    """Each kind of storage, empty."""
    given = str(tmp_path / "files")
    settings = FilesSettings(BACKROOM_FILES_STORAGE=given)
    if request.param == "s3":
        settings = of_s3(request.getfixturevalue("s3"))
    opened = blobs_of(settings, Deployment(False, True, tmp_path))
    yield opened
    await opened.close()


def of_s3(s3: S3, **changes: str) -> FilesSettings:
    return FilesSettings.model_validate({**s3.environment, **changes})


async def parts_of(content: bytes, size: int = PART_BYTES) -> AsyncIterator[bytes]:
    for place in range(0, len(content), size):
        yield content[place : place + size]


async def read(blobs: Blobs, key: str, offset: int, length: int) -> bytes:
    parts = [part async for part in blobs.read(key, offset, length)]
    assert all(0 < len(part) <= PART_BYTES for part in parts)
    return b"".join(parts)


async def listed(blobs: Blobs) -> dict[str, Blob]:
    return {blob.key: blob async for page in blobs.list() for blob in page}


@pytest.mark.parametrize("size", [0, 1, PART_BYTES + 1, 5 * _MIB, 37 * _MIB])
async def test_what_is_written_is_read_whole_and_in_ranges(blobs: Blobs, size: int) -> None:
    """The largest is written to S3 in parts."""
    content = content_of(size)
    assert await blobs.write("objects/0a/one", parts_of(content)) == size
    assert await read(blobs, "objects/0a/one", 0, size) == content
    for offset, length in ((0, min(size, 1)), (size // 2, size - size // 2), (max(0, size - 3), min(size, 3))):
        assert await read(blobs, "objects/0a/one", offset, length) == content[offset : offset + length]
    found = await listed(blobs)
    assert [(blob.key, blob.size_bytes) for blob in found.values()] == [("objects/0a/one", size)]
    age = datetime.now(UTC) - found["objects/0a/one"].change_time
    assert timedelta(minutes=-1) < age < timedelta(minutes=5)


@pytest.mark.parametrize("way", ["open", "read"])
async def test_a_file_that_is_opened_for_nobody_is_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    """Whoever asked for it was cancelled while it was opened."""
    blobs, opened, going_on = FolderBlobs(tmp_path), list[int](), threading.Event()
    await blobs.write("objects/00/a", parts_of(b"content"))

    def slowly(path: Path) -> int:
        opened.append(os.open(path, os.O_RDONLY))
        assert going_on.wait(60)
        return opened[0]

    monkeypatch.setattr(folder, "_open", slowly)

    async def ask() -> None:
        if way == "read":
            await anext(blobs.read("objects/00/a", 0, 7))
        else:
            await blobs.open("objects/00/a").__aenter__()

    asking = asyncio.create_task(ask())
    while not opened:  # noqa: ASYNC110 - nobody announces it
        await asyncio.sleep(0.01)
    asking.cancel()
    await asyncio.sleep(0)
    going_on.set()
    with pytest.raises(asyncio.CancelledError):
        await asking
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(opened[0])
    await blobs.close()


async def test_objects_are_joined_in_their_order(blobs: Blobs) -> None:
    contents = [content_of(size, seed) for seed, size in enumerate((9 * _MIB, 1, 9 * _MIB))]
    keys = [f"objects/00/{place}" for place in range(len(contents))]
    for key, content in zip(keys, contents, strict=True):
        await blobs.write(key, parts_of(content))
    whole = b"".join(contents)
    assert await blobs.join("objects/00/whole", keys) == len(whole)
    assert await read(blobs, "objects/00/whole", 0, len(whole)) == whole
    assert await blobs.join("objects/00/none", []) == 0
    with pytest.raises(BlobMissing):
        await blobs.join("objects/00/other", [keys[0], "objects/00/missing"])
    assert "objects/00/other" not in await listed(blobs)


async def test_what_is_deleted_is_gone_and_may_be_deleted_again(blobs: Blobs) -> None:
    for key in ("objects/00/a", "objects/01/b", "objects/01/c"):
        await blobs.write(key, parts_of(b"content"))
    for _ in range(2):
        await blobs.delete(["objects/00/a", "objects/01/c", "objects/01/never"])
    assert [*await listed(blobs)] == ["objects/01/b"]
    with pytest.raises(BlobMissing):
        await read(blobs, "objects/00/a", 0, 1)


async def test_a_read_behind_the_end_is_missing(blobs: Blobs) -> None:
    """Never shorter than it was said to be."""
    await blobs.write("objects/00/a", parts_of(b"content"))
    with pytest.raises(BlobMissing):
        await read(blobs, "objects/00/a", 4, 10)


@pytest.mark.parametrize("size", [PART_BYTES, 20 * _MIB])
async def test_what_fails_on_the_way_leaves_no_object(blobs: Blobs, size: int) -> None:
    """Its error comes out as it is; also where the caller is cancelled."""

    async def failing() -> AsyncIterator[bytes]:
        async for part in parts_of(content_of(size)):
            yield part
        raise LookupError("the sender has gone")

    with pytest.raises(LookupError):
        await blobs.write("objects/00/a", failing())

    async def endless() -> AsyncIterator[bytes]:
        async for part in parts_of(content_of(size)):
            yield part
        await asyncio.Event().wait()

    task = asyncio.create_task(blobs.write("objects/00/b", endless()))
    await asyncio.sleep(0.2)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await listed(blobs) == {}


async def test_many_objects_are_listed_in_pages(blobs: Blobs) -> None:
    keys = [f"objects/{place % 7:02}/{place}" for place in range(1_200)]

    async def add(some: list[str]) -> None:
        for key in some:
            await blobs.write(key, parts_of(b"x"))

    await asyncio.gather(*(add(keys[place::16]) for place in range(16)))
    pages = [page async for page in blobs.list()]
    assert len(pages) > 1
    assert max(map(len, pages)) <= 1_000
    assert sorted(blob.key for page in pages for blob in page) == sorted(keys)


async def test_many_read_and_write_at_the_same_time(blobs: Blobs) -> None:
    contents = {f"objects/00/{seed}": content_of(2 * _MIB, seed) for seed in range(12)}

    async def turn(key: str, content: bytes) -> bool:
        await blobs.write(key, parts_of(content))
        return await read(blobs, key, 0, len(content)) == content

    assert all(await asyncio.gather(*(turn(*each) for each in contents.items())))


async def test_a_folder_that_cannot_be_written_is_unavailable(tmp_path: Path) -> None:
    """As one on a disk that is full, or that is not mounted."""
    (tmp_path / "file").write_text("not a folder")
    blobs = FolderBlobs(tmp_path / "file" / "files")
    with pytest.raises(BlobsUnavailable, match="Not a directory"):
        await blobs.write("objects/00/a", parts_of(b"content"))
    await blobs.close()


async def test_a_folder_is_for_its_own_user_alone(tmp_path: Path) -> None:
    blobs = FolderBlobs(tmp_path / "files")
    await blobs.write("objects/00/a", parts_of(b"content"))
    modes = {path.stat().st_mode & 0o777 for path in (tmp_path / "files").rglob("*")}
    assert modes == {0o700, 0o600}
    assert (tmp_path / "files").stat().st_mode & 0o777 == 0o700
    await blobs.close()


async def test_what_is_written_is_synced_before_it_has_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file, then its name, and then the folder with the name."""
    steps = list[str]()
    fsync, rename = os.fsync, Path.rename

    def synced(file: int) -> None:
        steps.append("folder" if Path(f"/proc/self/fd/{file}").resolve().is_dir() else "file")
        fsync(file)

    def renamed(path: Path, to: Path) -> Path:
        steps.append("name")
        return rename(path, to)

    blobs = FolderBlobs(tmp_path / "files")
    await blobs.write("objects/00/first", parts_of(b"content"))
    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(Path, "rename", renamed)
    await blobs.write("objects/00/second", parts_of(b"content"))
    assert steps == ["file", "name", "folder"]
    await blobs.close()


@pytest.mark.slow
async def test_a_link_to_an_object_in_s3_is_an_attachment_of_no_known_type(s3: S3) -> None:
    """Whatever is in it; without its signature, it leads nowhere."""
    blobs = blobs_of(of_s3(s3), Deployment(False, True, Path()))
    await blobs.write("objects/00/a", parts_of(b"<script>alert(1)</script>"))
    link = await blobs.link("objects/00/a", 60)
    assert link is not None
    async with httpx.AsyncClient(trust_env=False) as client:
        answer = await client.get(link)
        assert answer.content == b"<script>alert(1)</script>"
        assert answer.headers["content-disposition"] == "attachment"
        assert answer.headers["content-type"] == "image/vnd.backroom.opaque"
        assert (await client.get(link.partition("?")[0])).status_code == 403


@pytest.mark.slow
async def test_s3_that_does_not_answer_or_refuses_is_unavailable(s3: S3) -> None:
    """The error names the place, and no secret."""
    refused = {"BACKROOM_FILES_S3_SECRET_KEY": "another"}
    absent = {"BACKROOM_FILES_S3_ENDPOINT": "http://127.0.0.1:1"}
    for changes in (refused, absent):
        blobs = blobs_of(of_s3(s3, **changes), Deployment(False, True, Path()))
        with pytest.raises(BlobsUnavailable) as raised:
            await blobs.write("objects/00/a", parts_of(b"content"))
        assert s3.bucket in str(raised.value)
        assert not any(secret in str(raised.value) for secret in (ACCESS_KEY, SECRET_KEY, "another"))
        with pytest.raises(BlobsUnavailable):
            await anext(aiter(blobs.list()))


async def test_another_environment_reads_a_storage_and_changes_nothing_there(blobs: Blobs) -> None:
    """It may have a copy of the database, and would delete what that does not know; it is told whose the storage is."""
    await production(blobs).write("objects/0a/one", parts_of(b"one"))
    for change in (
        staging(blobs).write("objects/0b/two", parts_of(b"two")),
        staging(blobs).join("objects/0b/two", ["objects/0a/one"]),
        staging(blobs).delete(["objects/0a/one"]),
    ):
        with pytest.raises(BlobsUnavailable, match=r"belongs to https://shop\.example\.com.* BACKROOM_FILES_STORAGE"):
            await change
    assert await read(staging(blobs), "objects/0a/one", 0, 3) == b"one"
    assert {*await listed(staging(blobs))} == {"objects/0a/one", owner.KEY}


async def test_a_storage_is_handed_over_by_deleting_who_owns_it(blobs: Blobs) -> None:
    """The one who had it learns of it, within a minute where it runs."""
    await production(blobs).write("objects/0a/one", parts_of(b"one"))
    await blobs.delete([owner.KEY])
    await staging(blobs).delete(["objects/0a/one"])
    with pytest.raises(BlobsUnavailable, match=r"belongs to https://staging\.example\.com"):
        await production(blobs).delete([])
    assert {*await listed(blobs)} == {owner.KEY}


async def test_who_owns_a_storage_is_asked_again_after_a_minute(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And not for each object."""
    asked = list[str]()

    class Counted(FolderBlobs):
        def read(self, key: str, offset: int, length: int) -> AsyncGenerator[bytes, None]:
            asked.append(key)
            return super().read(key, offset, length)

    storage = production(Counted(tmp_path))
    for _ in range(3):
        await storage.delete([])
    assert len(asked) == 2, "once before it was claimed, and once behind it"
    monkeypatch.setattr(owner, "_CHECKED_SECONDS", 0.0)
    await storage.delete([])
    assert len(asked) == 3


def production(storage: Blobs) -> Blobs:
    return ReportedBlobs(storage, Owner("https://shop.example.com"), QUIET)


def staging(storage: Blobs) -> Blobs:
    return ReportedBlobs(storage, Owner("https://staging.example.com"), QUIET)

"""What is deleted by itself: files whose time has come, uploads that were given up, and what belongs to nothing."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from typing import TypeAlias
from uuid import UUID

import structlog
from prometheus_client import CollectorRegistry, Counter

from server.files.blobs import Blobs, BlobsUnavailable, is_ours
from server.files.errors import FileNotFound, LegalHold
from server.files.rules.access import check_not_held
from server.files.service.changing import end_file, resource
from server.frame.batching import retry_on_contention
from storage.files.records import File, FileState, ListedFile
from storage.files.store import FilesStore, FilesTransaction
from storage.frame.records import NOBODY, ChangeContext

EXPIRE, GIVE_UP = "files.expire", "files.give_up"
_AT_ONCE = 100
_AGAIN = timedelta(minutes=1)
ORPHANED_AFTER = timedelta(hours=24)
"""Objects are written before the transaction that they belong to commits: younger ones may still be needed."""

_End: TypeAlias = Callable[[FilesTransaction, UUID], Awaitable[ListedFile]]


class Sweeping:
    """Deletes what nobody needs any more, and says of how much it was, and of how much it could not."""

    def __init__(
        self,
        store: FilesStore,
        blobs: Blobs,
        now: Callable[[], datetime],
        logger: structlog.typing.FilteringBoundLogger,
        registry: CollectorRegistry,
    ) -> None:
        self._store = store
        self._blobs = blobs
        self._now = now
        self._logger = logger
        self._swept = Counter(
            "backroom_files_swept",
            "Files, uploads and objects deleted by themselves (outcome=deleted), and those that could not be",
            ["kind", "outcome"],
            registry=registry,
        )

    async def expire_files(self) -> None:
        """Deletes files whose time has come, but not those under legal hold."""
        now = self._now()

        def check(file: File | None) -> File:
            if file is None or file.expire_time is None or file.expire_time > now:
                raise FileNotFound
            check_not_held(file)
            return file

        async def due() -> Sequence[UUID]:
            async with self._store.reading() as reading:
                return await reading.files.list_expired(now, _AT_ONCE)

        await self._end_all("file", EXPIRE, due, lambda tx, file_id: end_file(tx, file_id, check, self._now()))

    async def give_up_uploads(self) -> None:
        """Deletes uploads that nobody continued in time, with what was received of them."""
        now = self._now()

        def check(file: File | None) -> File:
            if file is None or file.state is not FileState.UPLOADING:
                raise FileNotFound
            return file

        async def due() -> Sequence[UUID]:
            async with self._store.reading() as reading:
                return await reading.uploads.list_expired(now, _AT_ONCE)

        async def end(tx: FilesTransaction, file_id: UUID) -> ListedFile:
            return await end_file(tx, file_id, check, self._now(), given_up_by=now)

        await self._end_all("upload", GIVE_UP, due, end)

    async def _end_all(
        self,
        kind: str,
        action: str,
        due: Callable[[], Awaitable[Sequence[UUID]]],
        end: _End,
    ) -> None:
        deleted = 0
        while found := await due():
            before = deleted
            for file_id in found:
                deleted += await self._end(file_id, action, end)
            if deleted == before:  # each of them was continued, held or deleted meanwhile
                break
        self._report(kind, deleted, 0)

    async def _end(self, file_id: UUID, action: str, end: _End) -> bool:
        async def attempt() -> None:
            async with self._store.transaction() as tx:
                await end(tx, file_id)
                await tx.audit.record([ChangeContext(NOBODY, action, self._now()).entry(resource(file_id))])

        try:
            await retry_on_contention(attempt)
        except (FileNotFound, LegalHold):
            return False
        return True

    async def delete_objects(self) -> None:
        """Deletes the objects that were let go of; those that cannot be deleted are tried again later."""
        deleted = failed = 0
        while True:
            async with self._store.reading() as reading:
                keys = await reading.objects.list_due(self._now(), _AT_ONCE)
            if not keys:
                break
            try:
                await self._blobs.delete(keys)
            except BlobsUnavailable:
                failed += len(keys)
                async with self._store.transaction() as tx:
                    await tx.objects.try_again(keys, self._now() + _AGAIN)
                break
            async with self._store.transaction() as tx:
                await tx.objects.forget(keys)
            deleted += len(keys)
        self._report("object", deleted, failed)

    async def sweep_orphans(self) -> None:
        """Deletes objects that belong to nothing: what a killed server wrote and never recorded.

        What else lies in the folder or the bucket, by a name that files gives to nothing, stays.
        """
        deleted = failed = 0
        before = self._now() - ORPHANED_AFTER
        try:
            async for page in self._blobs.list():
                old = [blob.key for blob in page if blob.change_time < before and is_ours(blob.key)]
                if not old:
                    continue
                async with self._store.reading() as reading:
                    known = await reading.objects.known_among(old)
                orphans = [key for key in old if key not in known]
                try:
                    await self._blobs.delete(orphans)
                    deleted += len(orphans)
                except BlobsUnavailable:
                    failed += len(orphans)
        except BlobsUnavailable as error:
            self._logger.warning("files_not_listed", why=str(error))
        self._report("orphan", deleted, failed)

    def _report(self, kind: str, deleted: int, failed: int) -> None:
        self._swept.labels(kind, "deleted").inc(deleted)
        self._swept.labels(kind, "failed").inc(failed)
        if failed:
            self._logger.warning("files_swept", kind=kind, deleted=deleted, failed=failed)
        elif deleted:
            self._logger.info("files_swept", kind=kind, deleted=deleted, failed=failed)

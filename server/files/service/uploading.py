"""Uploads from their creation to their completion."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID

from server.files.blobs import BlobMissing, BlobsUnavailable
from server.files.errors import FileNotFound, StorageUnavailable
from server.files.rules.access import check_uploads
from server.files.rules.events import file_event
from server.files.rules.naming import checked_name
from server.files.rules.receiving import (
    Quotas,
    UploadDraft,
    begun,
    check_complete,
    check_quota,
    check_sha256,
    check_size,
)
from server.files.service.answers import FILE, UPLOAD
from server.files.service.assembling import Assembled, Assembling, UploadEnded
from server.files.service.changing import change_once, resource, store_and_tell
from server.files.service.scans import scan_job
from server.frame.caller import Caller
from server.frame.errors import FieldInvalid
from server.frame.repeating import find_answer, once
from storage.files.records import FileState, ListedFile, Upload
from storage.files.store import FilesStore, FilesTransaction
from storage.frame.records import ChangeContext


class _Completed(Exception):
    """Another call has completed the upload meanwhile."""


class Uploads:
    """Creates uploads and completes them; `Receiving` fills them."""

    def __init__(
        self,
        store: FilesStore,
        assembling: Assembling,
        now: Callable[[], datetime],
        new_id: Callable[[], UUID],
        *,
        quotas: Quotas,
        largest_bytes: int,
        life: timedelta,
    ) -> None:
        """An upload that nobody continues within its `life` is given up."""
        self._store = store
        self._assembling = assembling
        self._now = now
        self._new_id = new_id
        self._quotas = quotas
        self._largest_bytes = largest_bytes
        self._life = life

    async def create(self, caller: Caller, draft: UploadDraft, context: ChangeContext) -> Upload:
        """Raises FieldInvalid, QuotaExceeded."""
        name, now = checked_name(draft.name), self._now()
        if draft.size_bytes > self._largest_bytes:
            raise FieldInvalid.of("size_bytes", f"must be at most {self._largest_bytes} bytes, as this server is set")
        if draft.expire_time is not None and draft.expire_time <= now:
            raise FieldInvalid.of("expire_time", "must be in the future")
        file = begun(replace(draft, name=name), self._new_id(), caller.account_id, now)
        upload = Upload(file, 0, 0, now + self._life)

        async def act(tx: FilesTransaction) -> Upload:
            usage = await tx.usages.add(file.owner_id, file.size_bytes)
            check_quota(usage, self._quotas.of(usage, caller.permissions), file.size_bytes)
            await tx.files.add(file)
            await tx.uploads.add(upload)
            await tx.events.publish([file_event("created", ListedFile(file))])
            return upload

        return await once(self._store, context, UPLOAD, act, lambda made: resource(made.file.id))

    async def complete(
        self, caller: Caller, file_id: UUID, size_bytes: int, sha256: str | None, context: ChangeContext
    ) -> ListedFile:
        """Has the bytes received become the file's content, which waits to be scanned unless it was before.

        `sha256` is in lower-case hexadecimal digits; None takes whatever was received.
        Raises FileNotFound, SizeMismatch, UploadIncomplete, Sha256Mismatch, StorageUnavailable.
        """
        if (answer := await find_answer(self._store, context, FILE)) is not None:
            return answer
        listed, upload = await self._find(caller, file_id)
        check_size(listed.file, size_bytes)
        if upload is None:
            return _completed(listed, sha256)
        check_complete(upload)
        check_sha256(self._assembling.find_sha256(upload) or sha256 or "", sha256)
        try:
            assembled = await self._assembling.assemble(upload)
            check_sha256(assembled.sha256, sha256)
            done = await change_once(self._store, context, lambda tx: self._complete(tx, file_id, assembled))
        except BlobsUnavailable as error:
            raise StorageUnavailable from error
        except (_Completed, UploadEnded, BlobMissing):
            listed, upload = await self._find(caller, file_id)
            if upload is not None:  # it is as it was: its bytes are missing in the storage
                raise
            return _completed(listed, sha256)
        self._assembling.forget(file_id)
        return done

    async def _find(self, caller: Caller, file_id: UUID) -> tuple[ListedFile, Upload | None]:
        """A file of the caller's, with its upload where that is not completed; raises FileNotFound."""
        async with self._store.snapshot_reading() as reading:
            listed = await reading.files.find(file_id)
            check_uploads(listed.file if listed else None, caller)
            upload = await reading.uploads.find(file_id)
        assert listed is not None  # noqa: S101 - it was checked
        return listed, upload

    async def _complete(self, tx: FilesTransaction, file_id: UUID, assembled: Assembled) -> ListedFile:
        now = self._now()
        found = await tx.files.find(file_id)
        if found is None:
            raise FileNotFound
        content = await tx.contents.refer(assembled.sha256, assembled.key, found.file.size_bytes, now)
        before = await tx.files.lock(file_id)
        if before is None:
            raise FileNotFound
        if before.state is not FileState.UPLOADING:
            raise _Completed
        left_over = {assembled.key, *await tx.uploads.delete(file_id)} - {content.key}
        await tx.objects.let_go(left_over, now)
        if content.state is FileState.STORED:
            await tx.jobs.defer([scan_job(content.sha256)])
        file = replace(before, sha256=content.sha256, state=content.state, version=before.version + 1, update_time=now)
        listed = ListedFile(before, content.content_type, content.verdict)
        return await store_and_tell(tx, content.state.value, listed, file)


def _completed(listed: ListedFile, sha256: str | None) -> ListedFile:
    """The answer of a repeated call; raises Sha256Mismatch where it wants another content."""
    check_sha256(listed.file.sha256 or "", sha256)
    return listed

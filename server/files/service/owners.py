"""What becomes of the files of an owner whose account is deleted."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from uuid import UUID

from server.files.errors import FileNotFound
from server.files.service.changing import end_file, resource, store_and_tell
from server.frame.batching import retry_on_contention
from server.frame.personal_data import DeclaredPersonalData, Erasure
from storage.files.personal_data import PERSONAL_DATA
from storage.files.records import File, FileFilter, FileState, ListedFile
from storage.files.store import FilesStore, FilesTransaction
from storage.frame.records import NOBODY, ChangeContext

ERASE = "files.erase_account"
"""What the record names as the action."""
_AT_ONCE = 100


class OwnersData(DeclaredPersonalData):
    """Hands over or deletes files with their events, as an owner would.

    One under legal hold is kept, and expires once it is released.
    """

    def __init__(self, store: FilesStore, now: Callable[[], datetime]) -> None:
        super().__init__(store, PERSONAL_DATA)
        self._files = store
        self._now = now

    async def erase(self, erasure: Erasure) -> None:
        before: tuple[datetime, UUID] | None = None
        while True:
            wanted = FileFilter(owner_id=erasure.account_id)
            async with self._files.reading() as reading:
                found = await reading.files.list_latest(wanted, before=before, limit=_AT_ONCE)
            if not found:
                break
            before = found[-1].create_time, found[-1].id
            for listed in found:
                await self._end(listed.id, erasure)
        await super().erase(erasure)

    async def _end(self, file_id: UUID, erasure: Erasure) -> None:
        async def attempt() -> None:
            async with self._files.transaction() as tx:
                if await self._ended(tx, file_id, erasure):
                    entry = ChangeContext(NOBODY, ERASE, self._now()).entry(resource(file_id))
                    await tx.audit.record([entry])

        try:
            await retry_on_contention(attempt)
        except _SuccessorDeleted:
            await self._end(file_id, replace(erasure, transfer_to=None))

    async def _ended(self, tx: FilesTransaction, file_id: UUID, erasure: Erasure) -> bool:
        """Whether it was still to be done."""

        def check(file: File | None) -> File:
            if file is None or file.owner_id != erasure.account_id:
                raise FileNotFound
            return file

        listed = await tx.files.find(file_id)
        if listed is None or listed.file.owner_id != erasure.account_id:
            return False
        to = erasure.transfer_to
        if to is not None and listed.file.state is not FileState.UPLOADING:
            return await self._hand_over(tx, listed, to)
        if listed.file.legal_hold:
            return await self._keep_while_held(tx, listed)
        try:
            await end_file(tx, file_id, check, self._now())
        except FileNotFound:
            return False
        return True

    async def _hand_over(self, tx: FilesTransaction, listed: ListedFile, to: UUID) -> bool:
        file = await tx.files.lock(listed.id)
        if file is None or file.owner_id != listed.file.owner_id:
            return False
        new = replace(file, owner_id=to, version=file.version + 1, update_time=self._now())
        # In the order of their ids, so that two who hand over to each other do not wait for each other.
        for owner_id in sorted((file.owner_id, to)):
            if owner_id == to:
                await tx.usages.add(to, file.size_bytes)
            else:
                await tx.usages.remove(owner_id, file.size_bytes)
        await store_and_tell(tx, "changed", listed, new)
        if await tx.account_deletions.deleted_among([to]):
            raise _SuccessorDeleted
        return True

    async def _keep_while_held(self, tx: FilesTransaction, listed: ListedFile) -> bool:
        file, now = await tx.files.lock(listed.id), self._now()
        if file is None or (file.expire_time is not None and file.expire_time <= now):
            return False
        new = replace(file, expire_time=now, version=file.version + 1, update_time=now)
        await store_and_tell(tx, "changed", listed, new)
        return True


class _SuccessorDeleted(Exception):
    """Who was to get the file was deleted meanwhile; it was not handed over."""

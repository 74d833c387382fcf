from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

from server.files.blobs import BlobMissing, Blobs, BlobsUnavailable
from server.files.errors import FileNotFound, NotTheOwner, RangeInvalid, StorageUnavailable
from server.files.rules import access
from server.files.rules.links import DownloadLink
from server.files.rules.receiving import Quotas, check_uploaded
from server.files.service.answers import DOWNLOAD_LINK, USAGE
from server.files.service.changing import change_once, check_file_etag, end_file, resource, store_and_tell
from server.files.service.lending import account_behind
from server.frame.caller import Caller, PermissionsOf
from server.frame.change_log import ChangeLog
from server.frame.errors import AccountDeleted
from server.frame.repeating import once
from server.frame.resuming import Position
from server.frame.watching import Feed, WatchMessages
from storage.files.records import (
    Content,
    File,
    FileAudience,
    FileChange,
    FileFilter,
    KeptVerdict,
    ListedFile,
    Usage,
)
from storage.files.store import FilesReading, FilesStore, FilesTransaction
from storage.frame.records import ChangeContext


class FileChanges(ChangeLog[FilesReading, FileChange, FileAudience]):
    """The log of what happened to files."""

    def __init__(self) -> None:
        super().__init__(lambda reading: reading.file_changes, FileAudience(), access.concerns)


@dataclass(frozen=True, slots=True)
class Download:
    """A range of a file's bytes."""

    listed: ListedFile
    offset: int
    length: int
    key: str
    """Of the object that has the bytes."""


class Files:
    """Files as they are read, downloaded, watched, held and deleted."""

    def __init__(
        self,
        store: FilesStore,
        blobs: Blobs,
        permissions_of: PermissionsOf,
        now: Callable[[], datetime],
        *,
        quotas: Quotas,
        serve_unscannable: bool,
    ) -> None:
        self._store = store
        self._blobs = blobs
        self._permissions_of = permissions_of
        self._now = now
        self._quotas = quotas
        self._serve_unscannable = serve_unscannable
        self.feed = Feed(store, FileChanges(), now)

    async def get(self, caller: Caller, file_id: UUID) -> ListedFile:
        """Raises FileNotFound."""
        async with self._store.reading() as reading:
            return await _seen(reading, caller, file_id)

    async def list_latest(
        self, caller: Caller, wanted: FileFilter, *, before: tuple[datetime, UUID] | None, limit: int
    ) -> Sequence[ListedFile]:
        """Of the files that a caller sees, the one that was created last first."""
        if not access.sees_all(caller):
            if wanted.owner_id not in (None, caller.account_id):
                return ()
            wanted = replace(wanted, owner_id=caller.account_id)
        async with self._store.reading() as reading:
            return await reading.files.list_latest(wanted, before=before, limit=limit)

    async def list_verdicts(
        self, caller: Caller, file_id: UUID, *, before: tuple[datetime, UUID] | None, limit: int
    ) -> Sequence[KeptVerdict]:
        """On a file's content, latest first; raises FileNotFound."""
        async with self._store.reading() as reading:
            listed = await _seen(reading, caller, file_id)
            if listed.file.sha256 is None:
                return ()
            return await reading.contents.list_verdicts(listed.file.sha256, before=before, limit=limit)

    async def served(self, caller: Caller, file_id: UUID) -> tuple[ListedFile, Content]:
        """A file that a caller may download now; raises FileNotFound, FileNotServed."""
        async with self._store.reading() as reading:
            listed = await _seen(reading, caller, file_id)
            return listed, await self._served(reading, listed.file)

    async def served_by_link(self, link: DownloadLink) -> tuple[ListedFile, Content]:
        """The same for whoever has a link, as long as the account that made it may see the file.

        Raises TokenInvalid, FileNotFound, FileNotServed.
        """
        maker = await account_behind(self._permissions_of, link.account_id)
        return await self.served(maker, link.file_id)

    async def _served(self, reading: FilesReading, file: File) -> Content:
        content = await reading.contents.find(file.sha256) if file.sha256 else None
        access.check_served(content.state if content else file.state, serve_unscannable=self._serve_unscannable)
        if content is None:
            raise FileNotFound  # it was deleted between the two
        return content

    async def open(self, caller: Caller, file_id: UUID, offset: int, length: int) -> Download:
        """A range of a file, up to its end where the length is 0; raises FileNotFound, FileNotServed, RangeInvalid."""
        listed, content = await self.served(caller, file_id)
        left = content.size_bytes - offset
        if left < 0:
            raise RangeInvalid(size_bytes=str(content.size_bytes))
        return Download(listed, offset, min(length or left, left), content.key)

    async def read(self, download: Download) -> AsyncGenerator[bytes, None]:
        """The bytes in parts of up to 256 KiB; raises FileNotFound where the file is deleted meanwhile, and
        StorageUnavailable."""
        async with (
            self._explained(download),
            aclosing(self._blobs.read(download.key, download.offset, download.length)) as parts,
        ):
            async for part in parts:
                yield part

    @asynccontextmanager
    async def file_of(self, download: Download) -> AsyncIterator[int | None]:
        """The open file that has the bytes, at the same offset; None where the storage has no files.

        Raises as `read`; EOFError within the block is that the file is shorter than it should be.
        """
        async with self._explained(download), self._blobs.open(download.key) as file:
            try:
                yield file
            except EOFError as error:
                raise BlobMissing("it is shorter than it should be") from error

    @asynccontextmanager
    async def _explained(self, download: Download) -> AsyncIterator[None]:
        try:
            yield
        except BlobsUnavailable as error:
            raise StorageUnavailable from error
        except BlobMissing:
            async with self._store.reading() as reading:
                if await reading.files.find(download.listed.id) is None:
                    raise FileNotFound from None
            raise

    async def storage_url(self, content: Content, seconds: int) -> str | None:
        """A URL of the storage itself, by which anyone gets a content that is served, for so long; None where it has
        none. Raises StorageUnavailable.
        """
        try:
            return await self._blobs.link(content.key, seconds)
        except BlobsUnavailable as error:
            raise StorageUnavailable from error

    async def link(
        self, caller: Caller, file_id: UUID, minutes: int, thumbnail_pixels: int, context: ChangeContext
    ) -> DownloadLink:
        """Permits whoever has the link to download a file, or a thumbnail; raises FileNotFound, FileNotServed."""

        async def act(tx: FilesTransaction) -> DownloadLink:
            listed = await _seen(tx, caller, file_id)
            await self._served(tx, listed.file)
            until = int((self._now() + timedelta(minutes=minutes)).timestamp())
            return DownloadLink(file_id, caller.account_id, until, thumbnail_pixels)

        return await once(self._store, context, DOWNLOAD_LINK, act, resource(file_id))

    async def delete(self, caller: Caller, file_id: UUID, etag: str, context: ChangeContext) -> None:
        """Raises FileNotFound, NotTheOwner, EtagMismatch, LegalHold."""

        def check(file: File | None) -> File:
            found = access.check_may_delete(file, caller)
            check_file_etag(found, etag)
            access.check_not_held(found)
            return found

        await change_once(self._store, context, lambda tx: end_file(tx, file_id, check, self._now()))

    async def set_legal_hold(
        self, caller: Caller, file_id: UUID, etag: str, context: ChangeContext, *, legal_hold: bool
    ) -> ListedFile:
        """Raises FileNotFound, FileStateConflict, EtagMismatch."""

        async def act(tx: FilesTransaction) -> ListedFile:
            file = access.check_may_see(await tx.files.lock(file_id), caller)
            check_uploaded(file)
            check_file_etag(file, etag)
            listed = await tx.files.find(file_id)
            assert listed is not None  # noqa: S101 - it is locked
            if file.legal_hold == legal_hold:
                return listed
            new = replace(file, legal_hold=legal_hold, version=file.version + 1, update_time=self._now())
            return await store_and_tell(tx, "held" if legal_hold else "released", listed, new)

        return await change_once(self._store, context, act)

    async def usage(self, caller: Caller, owner_id: UUID) -> tuple[Usage, int]:
        """What an account stores, and how much it may; raises NotTheOwner."""
        permissions: frozenset[str] | None = caller.permissions
        if owner_id != caller.account_id:
            if not caller.may(access.MANAGE):
                raise NotTheOwner(permission=access.MANAGE)
            permissions = await self._permissions_of(owner_id)
        async with self._store.reading() as reading:
            usage = await reading.usages.find(owner_id)
        return usage, self._quotas.of(usage, permissions or frozenset())

    async def set_quota(self, owner_id: UUID, quota_bytes: int | None, context: ChangeContext) -> None:
        """Sets how much an account may store; None leaves it to its roles. Raises AccountDeleted."""

        async def act(tx: FilesTransaction) -> Usage:
            usage = await tx.usages.set_quota(owner_id, quota_bytes)
            if await tx.account_deletions.deleted_among([owner_id]):
                raise AccountDeleted(account_id=str(owner_id))
            return usage

        await once(self._store, context, USAGE, act, f"files_quota/{owner_id}")

    def watch(self, caller: Caller, file_id: UUID | None, position: Position | None) -> WatchMessages[FileChange]:
        """Sends a caller the changes of all files that it sees, or of one of them."""
        return self.feed.watch(position, access.audience_of(caller, file_id))


async def _seen(reading: FilesReading, caller: Caller, file_id: UUID) -> ListedFile:
    listed = await reading.files.find(file_id)
    access.check_may_see(listed.file if listed else None, caller)
    assert listed is not None  # noqa: S101 - it was checked
    return listed

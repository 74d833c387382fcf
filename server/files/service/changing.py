"""What all changes of files have in common."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import datetime
from uuid import UUID

from server.files.rules.events import file_event
from server.files.rules.receiving import check_given_up
from server.files.service.answers import FILE
from server.frame.batching import retry_on_contention
from server.frame.editing import Edit, check_etag
from server.frame.repeating import once
from storage.errors import StoreContention
from storage.files.records import Content, File, ListedFile
from storage.files.store import FilesStore, FilesTransaction
from storage.frame.records import ChangeContext

_TOLD_AT_ONCE = 500
"""Of files with one content, in one transaction."""


async def change_once(
    store: FilesStore, context: ChangeContext, act: Callable[[FilesTransaction], Awaitable[ListedFile]]
) -> ListedFile:
    """A change of one file; it is tried again where its content was completed at the same time."""

    async def attempt() -> ListedFile:
        return await once(store, context, FILE, act, lambda listed: resource(listed.id))

    return await retry_on_contention(attempt)


def resource(file_id: UUID) -> str:
    """What the record names a file."""
    return f"file/{file_id}"


def check_file_etag(file: File, etag: str) -> None:
    """Raises EtagMismatch where an etag was sent, and the file has changed since."""
    check_etag(file, Edit(file.id, etag, {}))


async def end_file(
    tx: FilesTransaction,
    file_id: UUID,
    check: Callable[[File | None], File],
    now: datetime,
    *,
    given_up_by: datetime | None = None,
) -> ListedFile:
    """Deletes a file that `check` allows to delete, and its bytes with the last file that has them.

    With `given_up_by`, only an upload that has not been continued beyond that time.
    Raises what `check` raises, FileNotFound, and StoreContention where its upload was completed at the same time.
    """
    found = await tx.files.find(file_id)
    before = check(found.file if found else None)
    content = await tx.contents.lock(before.sha256) if before.sha256 else None
    file = check(await tx.files.lock(file_id))
    if found is None or file.sha256 != before.sha256:
        raise StoreContention
    if given_up_by is not None:
        check_given_up(await tx.uploads.lock(file_id), given_up_by)
    left_over = [*await tx.uploads.delete(file_id)]
    await tx.files.delete(file_id)
    if content is not None and await tx.contents.release(content):
        left_over.append(content.key)
    await tx.usages.remove(file.owner_id, file.size_bytes)
    await tx.objects.let_go(left_over, now)
    gone = replace(found, file=replace(file, version=file.version + 1, update_time=now))
    await tx.events.publish([file_event("deleted", gone)])
    return gone


async def store_and_tell(tx: FilesTransaction, happened: str, listed: ListedFile, file: File) -> ListedFile:
    """Stores a file that was locked in this transaction, with the event of its change, if it has changed."""
    if file == listed.file:
        return listed
    changed = replace(listed, file=file)
    await tx.files.change(file)
    await tx.events.publish([file_event(happened, changed)])
    return changed


async def tell_owners(tx: FilesTransaction, content: Content, now: datetime) -> bool:
    """Gives files the state of their content, which was changed or locked in this transaction, with their events.

    Whether some are left, since there are so many.
    """
    untold = await tx.files.lock_untold(content.sha256, content.state, _TOLD_AT_ONCE)
    for listed in untold:
        file = replace(listed.file, state=content.state, version=listed.file.version + 1, update_time=now)
        await store_and_tell(tx, content.state.value, listed, file)
    return len(untold) == _TOLD_AT_ONCE

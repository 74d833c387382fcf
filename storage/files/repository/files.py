from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Select, bindparam, delete, insert, select, update

from storage.base import Reader, Repository, column_names, latest, row_maker
from storage.files.records import File, FileFilter, FileState, ListedFile
from storage.files.repository.rows import FILES, listed, listed_files
from storage.files.tables import files

_ROW = row_maker(column_names(files))
_FIND = listed_files().where(files.c.id == bindparam("file_id"))
_LOCK = select(files).where(files.c.id == bindparam("file_id")).with_for_update(key_share=True)
_UNTOLD = (
    listed_files()
    .where(files.c.sha256 == bindparam("of_content"), files.c.state != bindparam("told"))
    .order_by(files.c.id)
    .limit(bindparam("most"))
    .with_for_update(of=files, key_share=True)
)
# Written out, since the index has these alone.
_EXPIRED = (
    select(files.c.id)
    .where(files.c.expire_time.is_not(None), ~files.c.legal_hold, files.c.expire_time <= bindparam("now"))
    .order_by(files.c.expire_time)
    .limit(bindparam("most"))
)


class FileReader(Reader):
    """Files, as they are stored."""

    async def find(self, file_id: UUID) -> ListedFile | None:
        """A file with what is said of its content."""
        rows = (await self._connection.execute(_FIND, {"file_id": file_id})).all()
        return next(iter(listed(rows)), None)

    async def list_latest(
        self, wanted: FileFilter, *, before: tuple[datetime, UUID] | None, limit: int
    ) -> Sequence[ListedFile]:
        """Files by when they were created, the latest first, below a key of that time and the id."""
        statement = latest(_filtered(wanted), files, before=before, limit=limit)
        return listed((await self._connection.execute(statement)).all())

    async def list_expired(self, now: datetime, limit: int) -> Sequence[UUID]:
        """Files whose time has come and that are not under legal hold, those first that were due first."""
        return (await self._connection.execute(_EXPIRED, {"now": now, "most": limit})).scalars().all()


class FileRepository(FileReader, Repository):
    """Files. Whoever locks a file and its content locks the content first."""

    async def lock(self, file_id: UUID) -> File | None:
        """A file, locked until the transaction ends."""
        return FILES.first(await self._connection.execute(_LOCK, {"file_id": file_id}))

    async def lock_untold(self, sha256: str, state: FileState, limit: int) -> Sequence[ListedFile]:
        """Files of a content whose owners were not told yet that it has this state, locked in key order."""
        values = {"of_content": sha256, "told": state, "most": limit}
        return listed((await self._connection.execute(_UNTOLD, values)).all())

    async def add(self, file: File) -> None:
        await self._connection.execute(insert(files).values(**_ROW(file)))

    async def change(self, file: File) -> None:
        """Stores the new values of a file that was locked in this transaction."""
        await self._connection.execute(update(files).where(files.c.id == file.id).values(**_ROW(file)))

    async def delete(self, file_id: UUID) -> None:
        """Deletes a file that was locked in this transaction, and has no upload."""
        await self._connection.execute(delete(files).where(files.c.id == file_id))


def _filtered(wanted: FileFilter) -> Select[Any]:
    statement = listed_files()
    if wanted.owner_id is not None:
        statement = statement.where(files.c.owner_id == wanted.owner_id)
    if wanted.state is not None:
        statement = statement.where(files.c.state == wanted.state)
    return statement

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import bindparam, delete, insert, select, update

from storage.base import AnyRow, Reader, Records, Repository
from storage.files.records import Piece, Upload
from storage.files.repository.rows import FILES
from storage.files.tables import files, pieces, uploads

_STATE = (uploads.c.received_bytes, uploads.c.piece_count, uploads.c.expire_time.label("upload_expire_time"))
_FIND = (
    select(*files.c, *_STATE)
    .join_from(uploads, files, files.c.id == uploads.c.file_id)
    .where(uploads.c.file_id == bindparam("file_id"))
)
_LOCK = _FIND.with_for_update(of=uploads)
_PIECES = select(pieces).where(pieces.c.file_id == bindparam("file_id")).order_by(pieces.c.offset)
_EXPIRED = (
    select(uploads.c.file_id)
    .where(uploads.c.expire_time <= bindparam("now"))
    .order_by(uploads.c.expire_time)
    .limit(bindparam("most"))
)
_RECORDS = Records(Piece)


class UploadReader(Reader):
    """Uploads with the pieces that they were received in, as they are stored."""

    async def find(self, file_id: UUID) -> Upload | None:
        return _upload((await self._connection.execute(_FIND, {"file_id": file_id})).first())

    async def list_pieces(self, file_id: UUID) -> Sequence[Piece]:
        """All of an upload's, in their order, each of which continues the one before it."""
        return _RECORDS.all(await self._connection.execute(_PIECES, {"file_id": file_id}))

    async def list_expired(self, now: datetime, limit: int) -> Sequence[UUID]:
        """Uploads that nobody continued in time, those first that were due first."""
        return (await self._connection.execute(_EXPIRED, {"now": now, "most": limit})).scalars().all()


class UploadRepository(UploadReader, Repository):
    """Uploads with their pieces."""

    async def lock(self, file_id: UUID) -> Upload | None:
        """An upload, locked until the transaction ends; its file is not."""
        return _upload((await self._connection.execute(_LOCK, {"file_id": file_id})).first())

    async def add(self, upload: Upload) -> None:
        """Adds an upload to a file that is stored already."""
        await self._connection.execute(insert(uploads).values(file_id=upload.file.id, **_values(upload)))

    async def add_piece(self, upload: Upload, piece: Piece) -> None:
        """Adds a piece to an upload that was locked in this transaction, which is as far as this with it."""
        await self._connection.execute(insert(pieces).values(**asdict(piece)))
        statement = update(uploads).where(uploads.c.file_id == upload.file.id)
        await self._connection.execute(statement.values(**_values(upload)))

    async def delete(self, file_id: UUID) -> Sequence[str]:
        """Ends an upload, and returns its pieces' keys."""
        mine = delete(pieces).where(pieces.c.file_id == file_id).returning(pieces.c.key)
        keys = (await self._connection.execute(mine)).scalars().all()
        await self._connection.execute(delete(uploads).where(uploads.c.file_id == file_id))
        return keys


def _values(upload: Upload) -> dict[str, Any]:
    return {
        "received_bytes": upload.received_bytes,
        "piece_count": upload.piece_count,
        "expire_time": upload.expire_time,
    }


def _upload(row: AnyRow | None) -> Upload | None:
    if row is None:
        return None
    return Upload(FILES.one(row), row.received_bytes, row.piece_count, row.upload_expire_time)

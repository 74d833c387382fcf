"""How an upload grows: which chunk comes next, and when it is complete."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

from server.files.errors import (
    ChunkDamaged,
    FileNotFound,
    FileStateConflict,
    OffsetMismatch,
    QuotaExceeded,
    Sha256Mismatch,
    SizeExceeded,
    SizeMismatch,
    UploadFragmented,
    UploadIncomplete,
)
from storage.files.records import File, FileState, Piece, Upload, Usage

PIECE_SECONDS = 5.0
"""After which a slow sender's bytes are stored for good, however few they are: a server that is killed loses the later
ones."""
MAX_PIECES = 50_000


@dataclass(frozen=True, slots=True)
class Chunk:
    """Some bytes of a file."""

    offset: int
    data: bytes
    crc32c: int | None
    """As the sender computed it; None where another checksum was checked already."""


@dataclass(frozen=True, slots=True)
class UploadDraft:
    """An upload to be created."""

    name: str
    size_bytes: int
    declared_type: str
    expire_time: datetime | None


def begun(draft: UploadDraft, file_id: UUID, owner_id: UUID, now: datetime) -> File:
    """The file of a new upload."""
    return File(
        id=file_id,
        owner_id=owner_id,
        name=draft.name,
        size_bytes=draft.size_bytes,
        declared_type=draft.declared_type,
        sha256=None,
        state=FileState.UPLOADING,
        legal_hold=False,
        expire_time=draft.expire_time,
        version=1,
        create_time=now,
        update_time=now,
    )


def check_chunk(chunk: Chunk, crc32c: int, upload: Upload, position: int) -> None:
    """That a chunk continues what was received up to a position.

    Raises OffsetMismatch, ChunkDamaged, SizeExceeded.
    """
    if chunk.offset != position:
        raise OffsetMismatch(offset=str(position))
    if chunk.crc32c is not None and chunk.crc32c != crc32c:
        raise ChunkDamaged(offset=str(position))
    if position + len(chunk.data) > upload.file.size_bytes:
        raise SizeExceeded(size_bytes=str(upload.file.size_bytes))


def grown(upload: Upload | None, piece: Piece, now: datetime, life: timedelta) -> Upload:
    """The upload with a piece more; raises FileNotFound, OffsetMismatch, UploadFragmented."""
    if upload is None:  # it was given up, or completed by another caller
        raise FileNotFound
    if upload.received_bytes != piece.offset:
        raise OffsetMismatch(offset=str(upload.received_bytes))
    if upload.piece_count >= MAX_PIECES:
        raise UploadFragmented
    return replace(
        upload,
        received_bytes=piece.offset + piece.size_bytes,
        piece_count=upload.piece_count + 1,
        expire_time=now + life,
    )


def check_given_up(upload: Upload | None, now: datetime) -> None:
    """Raises FileNotFound where an upload is to be kept, since somebody has continued it, or has ended already."""
    if upload is None or upload.expire_time > now:
        raise FileNotFound


def check_uploading(file: File) -> None:
    """Raises FileStateConflict where the upload is completed."""
    if file.state is not FileState.UPLOADING:
        raise FileStateConflict(state=file.state.value)


def check_uploaded(file: File) -> None:
    """Raises FileStateConflict where the upload is not completed."""
    if file.state is FileState.UPLOADING:
        raise FileStateConflict(state=file.state.value)


def check_size(file: File, size_bytes: int) -> None:
    """Raises SizeMismatch where a caller takes a file for another size than it has."""
    if size_bytes != file.size_bytes:
        raise SizeMismatch(size_bytes=str(file.size_bytes))


def check_complete(upload: Upload) -> None:
    """Raises UploadIncomplete."""
    if upload.received_bytes != upload.file.size_bytes:
        raise UploadIncomplete(received_bytes=str(upload.received_bytes), size_bytes=str(upload.file.size_bytes))


def check_sha256(found: str, wanted: str | None) -> None:
    """Raises Sha256Mismatch where something else is wanted; None takes whatever was received."""
    if wanted is not None and wanted != found:
        raise Sha256Mismatch(sha256=found)


@dataclass(frozen=True, slots=True)
class Quotas:
    """How many bytes accounts may store, by what they are granted."""

    usual: int
    large: int

    def of(self, usage: Usage, permissions: frozenset[str]) -> int:
        """What is set for the account alone, or else what its roles grant."""
        if usage.quota_bytes is not None:
            return usage.quota_bytes
        return self.large if "files.large_quota" in permissions else self.usual


def check_quota(usage: Usage, quota_bytes: int, added_bytes: int) -> None:
    """Raises QuotaExceeded where files, what was just added among them, have more bytes than they may."""
    if usage.used_bytes > quota_bytes:
        raise QuotaExceeded(quota_bytes=str(quota_bytes), used_bytes=str(usage.used_bytes - added_bytes))

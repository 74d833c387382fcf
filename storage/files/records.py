from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID


class FileState(StrEnum):
    UPLOADING = "uploading"
    STORED = "stored"
    SCANNING = "scanning"
    CLEAN = "clean"
    INFECTED = "infected"
    UNSCANNABLE = "unscannable"


class Outcome(StrEnum):
    """What a scan found."""

    CLEAN = "clean"
    INFECTED = "infected"
    UNSCANNABLE = "unscannable"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one scan of a content said."""

    outcome: Outcome
    scanner: str
    """Such as "clamav 1.4.3"; "none" where nothing was scanned, by a setting."""
    signatures: str
    """Which ones the scanner had."""
    detail: str
    """The name of what was found, or why the scanner cannot tell; may be empty."""
    create_time: datetime


@dataclass(frozen=True, slots=True)
class KeptVerdict:
    """One of a content's verdicts."""

    id: UUID
    verdict: Verdict

    @property
    def create_time(self) -> datetime:
        return self.verdict.create_time


@dataclass(frozen=True, slots=True)
class File:
    """What is stored of a file, without what belongs to its content."""

    id: UUID
    owner_id: UUID
    name: str
    size_bytes: int
    declared_type: str
    sha256: str | None
    """Of its content, in lower-case hexadecimal digits; None while it is uploaded."""
    state: FileState
    """As its owner was told; whether it is served is decided by the content's."""
    legal_hold: bool
    expire_time: datetime | None
    version: int
    """Counts the changes from 1 on."""
    create_time: datetime
    update_time: datetime


@dataclass(frozen=True, slots=True)
class ListedFile:
    """A file with what its owner is told of its content."""

    file: File
    content_type: str = ""
    """Told from the content; empty until it was looked at."""
    verdict: Verdict | None = None
    """The latest one."""

    @property
    def id(self) -> UUID:
        return self.file.id

    @property
    def create_time(self) -> datetime:
        return self.file.create_time


@dataclass(frozen=True, slots=True)
class Content:
    """Bytes that were uploaded, kept once however many files have them."""

    sha256: str
    key: str
    """Of its object in the storage; never used again for another one."""
    size_bytes: int
    content_type: str
    state: FileState
    reference_count: int
    """How many files have it."""
    scan_time: datetime | None
    """When to scan it; while it is scanned, when whoever does is taken for dead; None where there is nothing to do."""
    verdict: Verdict | None
    create_time: datetime


@dataclass(frozen=True, slots=True)
class Upload:
    """How far a file was received."""

    file: File
    received_bytes: int
    """Stored for good: where to continue."""
    piece_count: int
    expire_time: datetime
    """When it is given up."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of an upload that is stored for good."""

    file_id: UUID
    offset: int
    """Where it begins in the file, in bytes."""
    size_bytes: int
    crc32c: int
    key: str


@dataclass(frozen=True, slots=True)
class Usage:
    """What one account stores."""

    owner_id: UUID
    file_count: int
    used_bytes: int
    """Uploads count with the size that they were created with."""
    quota_bytes: int | None
    """Set for this account alone; None where its roles decide."""


@dataclass(frozen=True, slots=True)
class FileFilter:
    """Which files to list; None means any."""

    owner_id: UUID | None = None
    state: FileState | None = None


@dataclass(frozen=True, slots=True)
class FileAudience:
    """Whom changes of files are sent to; with nothing set, changes of every file."""

    owner_id: UUID | None = None
    file_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class FileChange:
    """One change of a file, and the file as it was after it."""

    sequence: int
    happened: str
    """Such as "stored"."""
    listed: ListedFile

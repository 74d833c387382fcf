"""What links permit to whoever has them."""

from dataclasses import dataclass
from uuid import UUID

VALID_MINUTES = 15
"""Where a caller does not say for how long."""


@dataclass(frozen=True, slots=True)
class DownloadLink:
    """Permits to download one file until a time."""

    file_id: UUID
    account_id: UUID
    """Who made it."""
    until: int
    """In seconds since 1970."""
    thumbnail_pixels: int = 0
    """How large a thumbnail it is to; 0 is the file itself."""


@dataclass(frozen=True, slots=True)
class UploadLink:
    """Permits to upload files for an account until a time."""

    account_id: UUID
    """Who made it, and whose the files are."""
    largest_bytes: int
    """Of each file; 0 is as large as the server takes."""
    until: int
    """In seconds since 1970."""


@dataclass(frozen=True, slots=True)
class UploadRight:
    """Permits to go on with one upload, which was created by a link, until a time."""

    file_id: UUID
    account_id: UUID
    until: int
    """In seconds since 1970."""

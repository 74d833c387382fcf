"""What a link to a file permits."""

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

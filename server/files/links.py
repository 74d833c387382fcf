"""Links by which files are downloaded, and uploaded, without an account.

They are signed, so that no server has to store them.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from server.files.rules.links import DownloadLink, UploadLink, UploadRight
from server.frame.errors import TokenInvalid
from server.frame.sealing import MasterKeys
from server.frame.signed_links import SignedLinks

DOWNLOADS = "/files/downloads"
UPLOADS = "/files/uploads"
BY_LINK = f"{UPLOADS}/by-link"
"""Below which files are uploaded by a link, and by what was created by one."""
CONTINUED = f"{UPLOADS}/continued"


class Links:
    """Writes and reads the paths of links; those that are not ours, or no longer valid, raise TokenInvalid."""

    def __init__(self, master_keys: MasterKeys) -> None:
        self._downloads = SignedLinks(master_keys, "files.download")
        self._uploads = SignedLinks(master_keys, "files.upload")
        self._rights = SignedLinks(master_keys, "files.continue")

    def download_path(self, link: DownloadLink) -> str:
        content: Sequence[str | int] = [str(link.file_id), str(link.account_id), link.until, link.thumbnail_pixels]
        return f"{DOWNLOADS}/{self._downloads.written(content)}"

    def upload_path(self, link: UploadLink) -> str:
        return f"{BY_LINK}/{self._uploads.written([str(link.account_id), link.largest_bytes, link.until])}"

    def right_path(self, right: UploadRight) -> str:
        return f"{CONTINUED}/{self._rights.written([str(right.file_id), str(right.account_id), right.until])}"

    def download(self, signed: str, now: datetime) -> DownloadLink:
        file_id, account_id, until, pixels = _valid(self._downloads.read(signed), 2, now)
        return DownloadLink(UUID(file_id), UUID(account_id), until, pixels)

    def upload(self, signed: str, now: datetime) -> UploadLink:
        account_id, largest_bytes, until = _valid(self._uploads.read(signed), 2, now)
        return UploadLink(UUID(account_id), largest_bytes, until)

    def right(self, signed: str, now: datetime) -> UploadRight:
        file_id, account_id, until = _valid(self._rights.read(signed), 2, now)
        return UploadRight(UUID(file_id), UUID(account_id), until)


def _valid(content: Sequence[Any], place: int, now: datetime) -> Sequence[Any]:
    """A link's content, which has until when it is valid at a place; raises TokenInvalid."""
    if datetime.fromtimestamp(content[place], UTC) <= now:
        raise TokenInvalid
    return content

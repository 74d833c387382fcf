"""Links by which a file is downloaded without an account."""

from datetime import UTC, datetime
from uuid import UUID

from server.files.rules.links import DownloadLink
from server.frame.errors import TokenInvalid
from server.frame.sealing import MasterKeys
from server.frame.signed_links import SignedLinks

PATH = "/files/downloads/"
"""What the path of a link begins with; its signed part follows."""


class DownloadLinks:
    """Writes and reads the paths of links; they are signed, so that no server has to store them."""

    def __init__(self, master_keys: MasterKeys) -> None:
        self._signed = SignedLinks(master_keys, "files.download")

    def path(self, link: DownloadLink) -> str:
        return PATH + self._signed.written([str(link.file_id), str(link.account_id), link.until])

    def read(self, signed: str, now: datetime) -> DownloadLink:
        """What the signed part of a link permits; raises TokenInvalid where it is not ours, or no longer valid."""
        file_id, account_id, until = self._signed.read(signed)
        if datetime.fromtimestamp(until, UTC) <= now:
            raise TokenInvalid
        return DownloadLink(UUID(file_id), UUID(account_id), until)

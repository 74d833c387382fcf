"""Signed URLs that open an event stream for a short time, without any header."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from server.frame.errors import TokenInvalid
from server.frame.sealing import MasterKeys
from server.frame.signed_links import SignedLinks
from storage.frame.records import NOBODY

PERIOD_SECONDS = 300
"""A URL holds good for one such period at least, and for two at most."""
_PURPOSE = "flags.event_stream"


@dataclass(frozen=True, slots=True)
class StreamRight:
    """What a URL permits: to receive the changes of one flag set."""

    flag_set_id: str
    version: int
    """The configuration version of the holder's last answer: a newer one is sent at once."""
    until: int
    """In seconds since 1970."""
    account_id: UUID = NOBODY
    """NOBODY where the flags were open to the holder's network."""
    issued_for: UUID = NOBODY
    """The session or the key by which the account called."""


def end_of_right(now: datetime) -> int:
    """Until when a URL holds good that is given out now; the same for all of a period, so that URLs stay the same."""
    return (int(now.timestamp()) // PERIOD_SECONDS + 2) * PERIOD_SECONDS


class StreamUrls:
    """Signs and verifies URLs, so that no server has to store them."""

    def __init__(self, master_keys: MasterKeys) -> None:
        self._links = SignedLinks(master_keys, _PURPOSE)

    def written(self, right: StreamRight) -> str:
        """A right as it stands in a URL."""
        ids = (right.account_id.hex, right.issued_for.hex)
        return self._links.written([right.flag_set_id, right.version, right.until, *ids])

    def read(self, text: str, now: datetime) -> StreamRight:
        """Raises TokenInvalid if the signature is not ours, or the URL has expired."""
        flag_set_id, version, until, account_id, issued_for = self._links.read(text)
        if now.timestamp() >= until:
            raise TokenInvalid
        return StreamRight(flag_set_id, version, until, UUID(account_id), UUID(issued_for))

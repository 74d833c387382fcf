"""The scanner that the settings name."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

from server.files.scanning import Findings, Scanner
from server.files.scanning.clamd import Clamd, Connection
from server.files.scanning.content_types import HEAD_BYTES, content_type
from server.frame.settings import Address
from storage.files.records import Outcome

NONE = "none"
_CLAMD = "clamd:"


class NoScanner:
    """Scans nothing, and says so: no content is called clean by it."""

    name = NONE

    async def signatures(self) -> str:
        return ""

    async def scan(self, size_bytes: int, content: AsyncIterator[bytes]) -> Findings:
        head = b""
        async for piece in content:
            head += piece
            if len(head) >= HEAD_BYTES:
                break
        return Findings(Outcome.UNSCANNABLE, "it was not scanned: BACKROOM_FILES_SCANNER is none", content_type(head))


def scanner_of(setting: str, max_bytes: int) -> Scanner | None:
    """None where nothing is set: then files wait, and none is served. Raises ValueError."""
    if not setting:
        return None
    if setting == NONE:
        return NoScanner()
    return Clamd(_way_to(setting), max_bytes)


def checked_scanner(setting: str) -> str:
    """A setting that names a scanner, or nothing; raises ValueError."""
    scanner_of(setting, 1)
    return setting


def _way_to(setting: str) -> Callable[[], Awaitable[Connection]]:
    kind, place = setting[: len(_CLAMD)], setting[len(_CLAMD) :]
    if kind == _CLAMD and place.startswith("/"):
        return lambda: asyncio.open_unix_connection(place)
    if kind == _CLAMD:
        try:
            address = Address(place)
        except ValueError:
            pass
        else:
            return lambda: asyncio.open_connection(address.host, address.port)
    raise ValueError("must be none, clamd:/run/clamav/clamd.ctl or clamd:127.0.0.1:3310")

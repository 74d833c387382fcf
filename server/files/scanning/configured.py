"""The scanner that the settings name."""

import asyncio
from collections.abc import AsyncIterator

from server.files.scanning import Findings, Scanner
from server.files.scanning.clamd import Clamd, Connection
from server.files.scanning.content_types import HEAD_BYTES, content_type
from server.files.scanning.place import NONE, clamd_place
from storage.files.records import Outcome


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
    place = clamd_place(setting)

    async def connect() -> Connection:
        if place.address is None:
            return await asyncio.open_unix_connection(place.path)
        return await asyncio.open_connection(place.address.host, place.address.port)

    return Clamd(connect, max_bytes)

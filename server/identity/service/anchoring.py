"""Where the chain's end is kept outside of the database: a file, one JSON line for each anchor."""

import asyncio
import json
import os
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from storage.frame.records import AuditAnchor


class AnchorsMalformed(Exception):
    """A line of the file is no anchor; the text names it."""


class AnchorFile:
    """A file that each anchor is appended to; best on another machine's disk, where no server can shorten it."""

    def __init__(self, path: Path) -> None:
        self._path = path

    async def keep(self, anchor: AuditAnchor, now: datetime) -> None:
        """Returns once it is on the disk."""
        await asyncio.to_thread(self._append, anchor, now)

    def read(self) -> Sequence[AuditAnchor]:
        """All anchors, the first first; a last line that was cut off by a crash is none. Raises AnchorsMalformed."""
        lines = self._path.read_text().split("\n")
        return [_anchor(number, line) for number, line in enumerate(lines[:-1], start=1)]

    def _append(self, anchor: AuditAnchor, now: datetime) -> None:
        values = {"position": anchor.position, "hash": anchor.hash.hex(), "time": now.astimezone(UTC).isoformat()}
        line = json.dumps(values).encode() + b"\n"
        descriptor = os.open(self._path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            size = os.fstat(descriptor).st_size
            # What a crash cut off was never an anchor, and must not spoil the line that follows.
            os.ftruncate(descriptor, os.pread(descriptor, size, 0).rfind(b"\n") + 1)
            os.write(descriptor, line)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _anchor(number: int, line: str) -> AuditAnchor:
    try:
        values = json.loads(line)
        anchor = AuditAnchor(int(values["position"]), bytes.fromhex(values["hash"]))
    except (ValueError, TypeError, KeyError):
        raise AnchorsMalformed(f"line {number} is no anchor") from None
    return anchor

"""files' work behind the answers."""

from collections.abc import Sequence

from server.files.service import Scanning, Sweeping
from server.files.service.scans import SCAN, SCANS, TELL
from server.files.service.sweeping import EXPIRE, GIVE_UP
from server.frame.jobs import Task

_SCANS_AT_ONCE = 4
"""Of one worker: each holds parts of one file in memory, and a connection to the scanner."""


def tasks(scanning: Scanning, sweeping: Sweeping) -> Sequence[Task]:
    async def scan(sha256: str) -> None:
        await scanning.scan(sha256)

    return (
        Task(SCAN, scan, queue=SCANS, concurrency=_SCANS_AT_ONCE),
        # What a dead worker left, or what waits for a scanner that was away.
        Task("files.scan_due", scanning.scan_due, every="* * * * * */10"),
        Task("files.request_changed", scanning.request_changed, every="*/10 * * * * 20"),
        Task(TELL, scanning.tell),
        Task(EXPIRE, sweeping.expire_files, every="* * * * * 10"),
        Task(GIVE_UP, sweeping.give_up_uploads, every="* * * * * 30"),
        Task("files.delete_objects", sweeping.delete_objects, every="* * * * * */5"),
        Task("files.sweep_orphans", sweeping.sweep_orphans, every="41 * * * * 0"),
    )

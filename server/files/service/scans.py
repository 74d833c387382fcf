"""The jobs that files defers, by their names."""

from storage.frame.records import Job

SCAN, TELL = "files.scan", "files.tell"
SCANS = "files.scans"
"""The queue of the scans, which wait for somebody else's answer."""


def scan_job(sha256: str) -> Job:
    """Has a content scanned now; one that is lost is found by its time."""
    return Job(SCAN, {"sha256": sha256}, queue=SCANS)


def tell_job(sha256: str) -> Job:
    """Has the remaining files of a content get its state."""
    return Job(TELL, {"sha256": sha256})

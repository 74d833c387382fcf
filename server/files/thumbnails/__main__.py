"""A process that makes thumbnails until its input ends: `python -m server.files.thumbnails`."""

from server.files.thumbnails.images import thumbnail
from server.files.thumbnails.work import CPU_SECONDS, MAX_MEMORY_BYTES, Ending, answered, read_request
from server.frame.child_process import OutOfTime, answer_requests, bounded


def _answered(request: bytes) -> bytes:
    try:
        with bounded(CPU_SECONDS):
            return thumbnail(*read_request(request))
    except (OutOfTime, MemoryError, RecursionError):
        return answered(Ending.TOO_COSTLY)


if __name__ == "__main__":
    answer_requests(_answered, max_memory_bytes=MAX_MEMORY_BYTES)

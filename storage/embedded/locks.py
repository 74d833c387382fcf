"""Locks that end with the process that holds them, however that ends.

A lock belongs to the opened file, and a child that is given this file shares it: it is free once the last of them has
ended. No number of a process is trusted for that, which may be another's by then.
"""

import fcntl
import os
import time
from contextlib import suppress
from pathlib import Path

_POLL_SECONDS = 0.02


class FileLock:
    """One opened file that is locked as a whole (flock)."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._fd: int | None = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        if os.geteuid() == 0:
            # Whoever has the folder can use it without root, too.
            parent = path.parent.stat()
            os.fchown(self._fd, parent.st_uid, parent.st_gid)

    def fileno(self) -> int:
        if self._fd is None:
            raise ValueError("the lock is closed")
        return self._fd

    def take(self, seconds: float) -> bool:
        """Takes it for this process alone, and leaves the process's number in it; False where others kept it."""
        until = time.monotonic() + seconds
        while not self.try_take():
            if time.monotonic() > until:
                return False
            time.sleep(_POLL_SECONDS)
        with suppress(OSError):  # on a full disk the lock is taken all the same
            os.ftruncate(self.fileno(), 0)
            os.pwrite(self.fileno(), str(os.getpid()).encode(), 0)
        return True

    def try_take(self) -> bool:
        try:
            fcntl.flock(self.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def share(self) -> None:
        """Takes it together with others who share it; waits for one who has it alone."""
        fcntl.flock(self.fileno(), fcntl.LOCK_SH)

    def holder(self) -> str:
        """The number of the process that took it last, as it left it there."""
        return os.pread(self.fileno(), 20, 0).decode(errors="replace")

    def release(self) -> None:
        """Frees it immediately, though a child may still have the file open."""
        fcntl.flock(self.fileno(), fcntl.LOCK_UN)

    def close(self) -> None:
        """Leaves it to the children that were given it; without any, it is free."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

"""A separate disk for the primary that is temporarily full: in memory, if this process may mount one."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_ROOM = "2g"
_TRIES = 100


class Disk:
    """A file system mounted on a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def fill(self) -> None:
        """Fills it completely; raises OSError if that fails."""
        for _ in range(_TRIES):
            found = os.statvfs(self._folder)
            used = (found.f_blocks - found.f_bfree) * found.f_frsize
            if self._resize(f"{used // 1024}k"):  # not if more was written meanwhile
                return
        raise OSError(f"{self._folder} cannot be filled")

    def make_room(self) -> None:
        if not self._resize(_ROOM):
            raise OSError(f"{self._folder} cannot be given room")

    def _resize(self, size: str) -> bool:
        remount = ["/bin/mount", "-o", f"remount,size={size}", str(self._folder)]
        return subprocess.run(remount, capture_output=True).returncode == 0


@contextmanager
def mounted(folder: Path) -> Iterator[Disk | None]:
    """A disk on a new folder, within the block; None if this process may not mount."""
    folder.mkdir()
    mount = ["/bin/mount", "-t", "tmpfs", "-o", f"size={_ROOM},mode=755", "none", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True).returncode != 0:
        yield None
        return
    try:
        yield Disk(folder)
    finally:
        subprocess.run(["/bin/umount", "-l", str(folder)], check=True)

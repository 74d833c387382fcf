"""The server that a data folder says is running, and whether it is."""

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from psycopg import pq

from storage.embedded.sockets import PORT, url_of

_ANSWERS_WITHIN_SECONDS = 3


@dataclass(frozen=True, slots=True)
class Postmaster:
    """The content of postmaster.pid, which the server fills step by step."""

    pid: int
    socket_folder: Path | None
    status: str
    """Such as starting, ready or stopping."""

    @property
    def number_is_taken(self) -> bool:
        """Whether a process has this number, also one that has ended and was not waited for yet."""
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return False
        except PermissionError:
            pass
        return True

    @property
    def alive(self) -> bool:
        """Whether a process with this number runs."""
        return self.number_is_taken and not _is_zombie(self.pid)

    def serves(self, data: Path) -> bool:
        """Whether this process is the PostgreSQL of this folder, and not another that was given its number since."""
        if not self.alive:
            return False
        process = Path(f"/proc/{self.pid}")
        try:
            return (process / "cwd").samefile(data)
        except PermissionError:
            # Another user's process, as it is for root in a container that may not look into others.
            return bytes(data) in (process / "cmdline").read_bytes().split(b"\0")
        except OSError:
            return not Path("/proc/self").exists() and "postgres" in _command(self.pid)

    @property
    def has_socket(self) -> bool:
        return self.socket_folder is not None and (self.socket_folder / f".s.PGSQL.{PORT}").exists()

    def answers(self) -> bool:
        """Whether it takes connections, which one that is about to end may no longer do."""
        if self.socket_folder is None or self.status != "ready":
            return False
        target = f"{url_of(self.socket_folder)}&connect_timeout={_ANSWERS_WITHIN_SECONDS}"
        return pq.PGconn.ping(target.encode()) == pq.Ping.OK


def read_postmaster(data: Path) -> Postmaster | None:
    """None where there is none, or nothing in it yet."""
    try:
        lines = _pid_file(data).read_text(errors="surrogateescape").splitlines()
        pid = int(lines[0])
    except (FileNotFoundError, NotADirectoryError, ValueError, IndexError):
        return None
    folder, status = (lines[number].strip() if len(lines) > number else "" for number in (4, 7))
    return Postmaster(pid, Path(folder) if folder else None, status) if pid > 0 else None


def running_url(data: Path) -> str | None:
    """The URL of the server that runs on a data folder; None where none does, or it is closed. Starts nothing."""
    try:
        found = read_postmaster(data)
    except PermissionError:
        return None
    if found is None or found.socket_folder is None or not found.serves(data):
        return None
    return url_of(found.socket_folder)


def forget_number(data: Path, left: Postmaster | None) -> None:
    """Has PostgreSQL start though postmaster.pid is empty, or its number is another process's by now.

    It would take any process with that number for its predecessor, but never the process that starts it. That one's
    number goes there, and the rest stays, by which PostgreSQL finds out whether the shared memory is still in use.
    """
    path = _pid_file(data)
    (data / f".s.PGSQL.{PORT}.lock").unlink(missing_ok=True)  # has the same number, and nothing else
    if left is None:
        path.unlink(missing_ok=True)
    elif left.number_is_taken:
        lines = path.read_bytes().splitlines(keepends=True)
        path.write_bytes(b"".join([b"%d\n" % os.getpid(), *lines[1:]]))


def _pid_file(data: Path) -> Path:
    return data / "postmaster.pid"


def _is_zombie(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()[0] == "Z"
    except (OSError, IndexError):
        return False


def _command(pid: int) -> str:
    ps = ["/bin/ps", "-o", "command=", "-p", str(pid)]
    return subprocess.run(ps, capture_output=True, text=True, check=False).stdout  # noqa: S603 - a number alone is ours

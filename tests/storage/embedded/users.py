"""Processes that use an embedded server, which a test may kill."""

import os
import pwd
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from storage.embedded import as_user

_USE = """
import pathlib, sys
from storage.embedded import EmbeddedPostgres, EmbeddedPostgresFailed
try:
    server = EmbeddedPostgres(pathlib.Path(sys.argv[1]), durable=False)
except EmbeddedPostgresFailed as failure:
    sys.exit(f"failed: {failure}")
print(server.url, flush=True)
sys.stdin.read()
server.stop()
"""
_ROOT = Path(__file__).resolve().parents[3]
CAP_DAC_READ_SEARCH = 2


class User:
    """A process that uses the server of a folder until it is told to leave."""

    def __init__(self, folder: Path, *before: str) -> None:
        """`before` is a command that runs the one given after it."""
        self.process = subprocess.Popen(
            [*before, sys.executable, "-c", _USE, str(folder)],
            cwd=_ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def url(self) -> str:
        """Once the server responds; the empty text if it does not start."""
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def leave(self) -> str:
        """Leaves, and returns the error message, or nothing."""
        _, said = self.process.communicate(timeout=300)
        return said

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()


@contextmanager
def using(folder: Path, *before: str) -> Iterator[User]:
    user = User(folder, *before)
    try:
        yield user
    finally:
        if user.process.returncode is None:
            user.kill()


def nobody(capability: int = CAP_DAC_READ_SEARCH) -> tuple[str, ...]:
    """The command that runs another as an ordinary user, who can read our programs wherever they are."""
    entry = pwd.getpwnam("nobody")
    python = (sys.executable, "-I", "-S", as_user.__file__)
    return (*python, str(entry.pw_uid), str(entry.pw_gid), str(capability))


def servers_of(folder: Path) -> list[int]:
    """The ids of PostgreSQL's processes that work in a folder, or create data there."""
    found = subprocess.run(["/bin/ps", "-eo", "pid=,stat=,args="], capture_output=True, text=True, check=True).stdout
    rows = (line.split(None, 2) for line in found.splitlines())
    live = [(int(row[0]), row[2]) for row in rows if len(row) == 3 and not row[1].startswith("Z")]
    return [pid for pid, args in live if "postgres" in args and (_works_in(pid, folder) or f"-D {folder}" in args)]


def _works_in(pid: int, folder: Path) -> bool:
    try:
        return Path(f"/proc/{pid}/cwd").readlink().is_relative_to(folder)
    except OSError:
        return False


def end(pids: Iterable[int]) -> None:
    """Kills them, if they still exist."""
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def none_left(folder: Path, within: float = 30.0) -> bool:
    """Whether no server is left on a folder, at the latest after this many seconds."""
    until = time.monotonic() + within
    while servers_of(folder):
        if time.monotonic() > until:
            return False
        time.sleep(0.05)
    return True

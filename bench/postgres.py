"""The PostgreSQL of a bench as the operating system sees it: its processes, and their CPU."""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import psycopg

_TICKS = os.sysconf("SC_CLK_TCK")
# The fields of /proc/<pid>/stat after the command's name: see proc(5).
_PARENT = 1
_USER_AND_SYSTEM = slice(11, 13)
_USER_AND_SYSTEM_WITH_THE_ENDED = slice(11, 15)


@dataclass(frozen=True, slots=True)
class Postgres:
    postmaster: int
    version: str

    @classmethod
    def of(cls, url: str) -> "Postgres":
        """The server of this URL, which must run on this machine."""
        with psycopg.connect(url) as connection:
            row = connection.execute("SELECT current_setting('data_directory'), version()").fetchone()
        assert row is not None  # noqa: S101 - a query without FROM has one row
        first, *_ = (Path(row[0]) / "postmaster.pid").read_text().split("\n", 1)
        return cls(int(first), " ".join(str(row[1]).split()[:2]))

    def pids(self) -> tuple[int, ...]:
        """The postmaster and all its live processes."""
        return (self.postmaster, *self._children())

    def cpu(self) -> float:
        """Seconds spent so far, including by ended processes: a meter for the loops."""
        spent = sum(map(int, _stat(self.postmaster)[_USER_AND_SYSTEM_WITH_THE_ENDED]))
        for pid in self._children():
            try:
                spent += sum(map(int, _stat(pid)[_USER_AND_SYSTEM]))
            except (FileNotFoundError, ProcessLookupError):  # it has just ended
                continue
        return spent / _TICKS

    def program(self, name: str) -> str | None:
        """The path of a program of the same installation, or of the search path; None if it does not exist."""
        beside = Path(f"/proc/{self.postmaster}/exe").resolve().with_name(name)
        return str(beside) if beside.exists() else shutil.which(name)

    def _children(self) -> list[int]:
        found = []
        for folder in Path("/proc").iterdir():
            if folder.name.isdigit():
                try:
                    parent = int(_stat(int(folder.name))[_PARENT])
                except (FileNotFoundError, ProcessLookupError):
                    continue
                if parent == self.postmaster:
                    found.append(int(folder.name))
        return found


def _stat(pid: int) -> list[str]:
    """Its fields after the command's name, which may hold spaces and parentheses."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()

"""A PostgreSQL with a standby, which tests may freeze, crash and promote."""

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import LiteralString

import psycopg

from storage.embedded import data
from storage.embedded.account import account_for, reached_by
from storage.embedded.binaries import binaries
from storage.embedded.locks import FileLock
from storage.embedded.programs import environment
from storage.embedded.sockets import quoted, url_of
from tests.fixtures.postgres import POSTGRES_VERSION

ANSWERS_WITHIN_SECONDS = 120.0


def until(true: Callable[[], bool], within: float = ANSWERS_WITHIN_SECONDS) -> None:
    """Returns once it is true; raises TimeoutError where that takes too long."""
    end = time.monotonic() + within
    while not true():
        if time.monotonic() > end:
            raise TimeoutError
        time.sleep(0.02)


class Node:
    """One server of the two."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._binaries = binaries(POSTGRES_VERSION)
        self._account = account_for(None)
        self._socket_folder = folder.with_suffix(".socket")  # what lies in its own is copied to a standby
        self._socket_folder.mkdir(mode=0o700)
        self._account.own(self._socket_folder)
        self.url = url_of(self._socket_folder)
        self._process: subprocess.Popen[bytes] | None = None

    def make(self) -> None:
        """Makes an empty one."""
        lock = FileLock(self.folder.with_suffix(".lock"))
        data.make(self.folder, self._binaries, self._account, lock, durable=False)
        lock.close()

    def copy(self, primary: "Node") -> None:
        """Makes a standby of the primary."""
        self.folder.mkdir(mode=0o700)
        self._account.own(self.folder)
        options = ("-D", str(self.folder), "-d", primary.url, "-R", "-X", "stream", "-c", "fast", "--no-sync")
        command = self._command("pg_basebackup", *options)
        subprocess.run(command, check=True, capture_output=True, env=environment(), cwd="/", timeout=120)

    def start(self) -> None:
        """Starts it, and returns once it answers."""
        settings = ("listen_addresses=", f"unix_socket_directories={quoted(self._socket_folder)}")
        options = [part for setting in settings for part in ("-c", setting)]
        command = self._command("postgres", "-D", str(self.folder), *options)
        with self.folder.with_suffix(".log").open("ab") as log:
            self._process = subprocess.Popen(
                command, env=environment(), cwd="/", stdout=log, stderr=log, umask=0o077, start_new_session=True
            )
        until(self._answers)

    def crash(self) -> None:
        """Kills all of its processes, as a machine does that loses its power."""
        for process in reversed(self._processes()):
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        if self._process is not None:
            self._process.wait(60)
            self._process = None

    def promote(self) -> None:
        """Has a standby become the primary."""
        self.ask("SELECT pg_promote(true, 60)")

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Nothing moves in it within the block."""
        processes = self._processes()
        for process in processes:
            os.kill(process, signal.SIGSTOP)
        try:
            yield
        finally:
            for process in processes:
                os.kill(process, signal.SIGCONT)

    def ask(self, query: LiteralString, *values: object) -> list[tuple[object, ...]]:
        """What it answers to one statement that waits for nobody."""
        with psycopg.connect(self.url, autocommit=True, options="-c synchronous_commit=local") as connection:
            found = connection.execute(query, values)
            return found.fetchall() if found.description else []

    def _answers(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, self.folder.with_suffix(".log").read_text()
        try:
            return self.ask("SELECT 1") == [(1,)]
        except psycopg.OperationalError:
            return False

    def _processes(self) -> list[int]:
        """The first one, and those that it has started."""
        if self._process is None:
            return []
        first = self._process.pid
        return [first, *(child for child, parent in _processes() if parent == first)]

    def _command(self, name: str, *arguments: str) -> list[str]:
        paths = [*reached_by(self._binaries), self.folder, self._socket_folder]
        return self._account.command([str(self._binaries.program(name)), *arguments], paths)


def _processes() -> Iterator[tuple[int, int]]:
    """All processes of this machine, each with the one that started it."""
    for found in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):  # it has ended meanwhile
            yield int(found.parent.name), int(found.read_text().rpartition(")")[2].split()[1])


class Pair:
    """A primary and its standby, which each commit waits for."""

    def __init__(self, folder: Path) -> None:
        self.primary, self.standby = Node(folder / "primary"), Node(folder / "standby")
        self.primary.make()
        self.primary.start()

    def replicate(self) -> None:
        """Makes the standby of all that is there by now, and has commits wait for it from then on."""
        self.standby.copy(self.primary)
        self.standby.start()
        synchronous(self.primary.url)
        state = "SELECT count(*) FROM pg_stat_replication WHERE sync_state <> 'async'"
        until(lambda: self.primary.ask(state) == [(1,)])

    def close(self) -> None:
        self.standby.crash()
        self.primary.crash()


def synchronous(url: str, names: str = "*") -> None:
    """Has each commit wait for one of these standbys, and returns when that counts; for none where there is no name."""
    with psycopg.connect(url, autocommit=True, options="-c synchronous_commit=local") as connection:
        connection.execute(f"ALTER SYSTEM SET synchronous_standby_names = '{names}'")
        connection.execute("SELECT pg_reload_conf()")
        setting = "SELECT current_setting('synchronous_standby_names')"
        until(lambda: connection.execute(setting).fetchone() == (names,))


def waiting(url: str) -> list[int]:
    """The processes of those sessions whose commit waits for a standby."""
    query = "SELECT pid FROM pg_stat_activity WHERE wait_event = 'SyncRep' ORDER BY pid"
    with psycopg.connect(url, autocommit=True) as connection:
        return [int(row[0]) for row in connection.execute(query)]


@contextmanager
def pair() -> Iterator[Pair]:
    """A primary on which a standby can be founded; both are gone at the end of the block."""
    memory = Path("/dev/shm")  # noqa: S108 - the folder in it is made by mkdtemp
    folder = Path(tempfile.mkdtemp(prefix="backroom-pair-", dir=memory if memory.is_dir() else None))
    made = Pair(folder)
    try:
        yield made
    finally:
        made.close()
        shutil.rmtree(folder, ignore_errors=True)

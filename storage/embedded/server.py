"""The embedded server of one data folder: started by the first process that uses it, stopped by the last."""

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from storage.embedded import data as data_folder
from storage.embedded.account import Account, account_for, reached_by
from storage.embedded.binaries import NEWEST, Binaries, binaries
from storage.embedded.locks import FileLock
from storage.embedded.postmaster import Postmaster, forget_number, read_postmaster
from storage.embedded.programs import EmbeddedPostgresFailed, complaint, environment
from storage.embedded.sockets import PORT, quoted, remove_socket_folder, socket_folder, url_of

_POLL_SECONDS = 0.01
_TURN_WITHIN_SECONDS = 180.0
"""How long another process may take to make, start or stop it, on a slow machine."""
_READY_WITHIN_SECONDS = 120.0
"""How long it may take to start: after a kill it first goes through its log."""
_STOPS = ((signal.SIGINT, 30.0), (signal.SIGQUIT, 10.0), (signal.SIGKILL, 10.0))
"""Cleanly, immediately, and by force; each with how long that may take, in seconds."""
_LOG_BYTES = 1 << 20
_LOCKS = ("start", "users", "server")
_TEMPORARY = ("fsync=off", "full_page_writes=off", "synchronous_commit=off", "max_connections=600")
"""Of a server whose data nobody keeps: it waits for no disk, and has room for sessions that tests cut by hundreds."""


class EmbeddedPostgres:
    """One embedded server for one data folder; it stops with the last process that uses it.

    Its log and three locks are next to the folder. `start` is taken to start or to stop it, `users` is shared by the
    processes that use it, and `server` is the server's own: its processes inherit it, so that it is free when, and only
    when, all of them have ended. A server that was left behind is therefore found and used, and stopped by the last.
    """

    def __init__(self, folder: Path, *, version: int | None = None, durable: bool = True) -> None:
        """The server runs, and answers; its data is made where there is none.

        `version` is of new data, 16 or 18; what is there is served by its own version. Without `durable` it does not
        wait for the disk. Raises NotInstalled and EmbeddedPostgresFailed, and OSError where the disk does not let it.
        """
        self._data = folder.absolute()
        self._durable = durable
        if "\n" in str(self._data):
            raise EmbeddedPostgresFailed("the folder's name has a line break; choose another folder")
        binaries(version or NEWEST)
        self._account()
        self._locks = self._data.with_name(f"{self._data.name}.locks")
        _make_private(self._locks)
        self._start, self._users, self._server = (FileLock(self._locks / name) for name in _LOCKS)
        self._process: subprocess.Popen[bytes] | None = None
        self._stopped = False
        try:
            with self._turn():
                try:
                    self._users.share()
                    self._socket_folder = self._adopted(version) or self._begin(version)
                except BaseException:
                    self._leave()
                    raise
        except BaseException:
            self._close()
            raise

    @property
    def url(self) -> str:
        return url_of(self._socket_folder)

    def stop(self) -> None:
        """Stops the server, unless another process uses it too. A second time, it does nothing."""
        if self._stopped:
            return
        try:
            with self._turn():
                self._leave()
        finally:
            self._close()

    def _leave(self) -> None:
        self._users.release()
        if self._users.try_take():
            self._end()
        elif self._process is not None:
            self._process.returncode = 0  # it keeps running for the others: to Popen that would be a leak

    def _close(self) -> None:
        self._stopped = True
        for lock in (self._start, self._users, self._server):
            lock.close()

    @contextmanager
    def _turn(self) -> Iterator[None]:
        if not self._start.take(_TURN_WITHIN_SECONDS):
            raise EmbeddedPostgresFailed(
                f"the process {self._start.holder()} has started or stopped PostgreSQL in {self._data}"
                f" for {_TURN_WITHIN_SECONDS:.0f} s; wait for it, or end it"
            )
        try:
            yield
        finally:
            self._start.release()

    def _adopted(self, version: int | None) -> Path | None:
        """Where the server listens that runs already, be it one that was left behind; None where none runs."""
        until = time.monotonic() + _READY_WITHIN_SECONDS
        while time.monotonic() < until:
            free, found = self._server.try_take(), read_postmaster(self._data)
            if free and not (found is not None and found.serves(self._data)):
                return None
            if free:  # somebody else started it, without the lock
                self._server.release()
            if found is not None and found.socket_folder is not None and found.alive and found.answers():
                self._check_version(version)
                return found.socket_folder
            if found is not None and found.alive and found.status == "ready" and not found.has_socket:
                self._end()  # nobody can reach it any more
            time.sleep(_POLL_SECONDS)
        raise EmbeddedPostgresFailed(f"the PostgreSQL that runs in {self._data} does not answer; end it")

    def _check_version(self, version: int | None) -> int:
        """The version of the data that is there; raises EmbeddedPostgresFailed where another one is wanted."""
        found = data_folder.version_of(self._data) or version or NEWEST
        if version not in (None, found):
            raise EmbeddedPostgresFailed(
                f"{self._data} is of PostgreSQL {found}, and {version} is wanted; choose another folder"
            )
        return found

    def _account(self) -> Account:
        return account_for(self._data if self._data.exists() else None)

    def _begin(self, version: int | None) -> Path:
        """Starts it, and makes its data first where there is none; returns where it listens."""
        programs, account = binaries(self._check_version(version)), self._account()
        if data_folder.version_of(self._data) is None:
            account = account_for(None)
            data_folder.make(self._data, programs, account, self._start, durable=self._durable)
        left = read_postmaster(self._data)
        remove_socket_folder(left.socket_folder if left else None)
        forget_number(self._data, left)
        folder = socket_folder(self._data, account)
        try:
            self._launch(programs, account, folder)
        except BaseException:
            self._end()
            remove_socket_folder(folder)
            raise
        return folder

    def _launch(self, programs: Binaries, account: Account, folder: Path) -> None:
        log = self._data.with_name(f"{self._data.name}.log")
        with os.fdopen(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab") as output:
            if output.tell() > _LOG_BYTES:
                output.truncate(0)
            begin = output.seek(0, os.SEEK_END)
            arguments = [str(programs.program("postgres")), "-D", str(self._data), "-p", str(PORT)]
            for setting in self._settings(folder):
                arguments += ["-c", setting]
            self._process = subprocess.Popen(  # noqa: S603 - the program of the package
                account.command(arguments, [*reached_by(programs), self._data, folder]),
                cwd="/",
                env=environment(),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                umask=0o077,
                pass_fds=[self._server.fileno()],
                # Ctrl-C is not for it: it stops when the last process that uses it has done with it.
                start_new_session=True,
            )
        # The lock is the server's from here on, and no longer this process's.
        self._server.close()
        self._server = FileLock(self._locks / "server")
        self._await_ready(log, begin)

    def _settings(self, folder: Path) -> Iterator[str]:
        yield "listen_addresses="
        yield f"unix_socket_directories={quoted(folder)}"
        yield "unix_socket_permissions=0700"
        if not self._durable:
            yield from _TEMPORARY

    def _await_ready(self, log: Path, begin: int) -> None:
        assert self._process is not None  # noqa: S101 - it was started just now
        until = time.monotonic() + _READY_WITHIN_SECONDS
        while self._process.poll() is None:
            found = read_postmaster(self._data)
            if found is not None and found.pid == self._process.pid and found.status == "ready":
                return
            if time.monotonic() > until:
                raise EmbeddedPostgresFailed(f"PostgreSQL does not become ready in {self._data}; {log} says more")
            time.sleep(_POLL_SECONDS)
        with log.open("rb") as log_file:
            log_file.seek(begin)
            why = complaint(log_file.read().decode(errors="replace"))
        raise EmbeddedPostgresFailed(f"PostgreSQL does not start in {self._data}: {why}")

    def _end(self) -> None:
        """Stops the server, and returns when it has: cleanly, and otherwise immediately."""
        found = read_postmaster(self._data)
        for number, seconds in _STOPS if self._durable else _STOPS[1:]:
            self._signal(found, number)
            if self._gone(found, seconds):
                break
        if found is not None:
            remove_socket_folder(found.socket_folder)

    def _signal(self, found: Postmaster | None, number: int) -> None:
        with suppress(ProcessLookupError):
            if found is not None and found.serves(self._data):
                os.kill(found.pid, number)
            elif self._process is not None:
                self._process.send_signal(number)

    def _gone(self, found: Postmaster | None, seconds: float) -> bool:
        """Whether none of its processes is left, at the latest after so many seconds."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            started = self._process is not None and self._process.poll() is None
            if not started and self._is_free() and not (found is not None and found.serves(self._data)):
                return True
            time.sleep(_POLL_SECONDS)
        return False

    def _is_free(self) -> bool:
        """Whether no server has the lock."""
        free = self._server.try_take()
        if free:
            self._server.release()
        return free


def _make_private(folder: Path) -> None:
    """Makes a folder that only its owner may enter, and those above it."""
    folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.mkdir(mode=0o700, exist_ok=True)
    if os.geteuid() == 0 and folder.stat().st_uid != folder.parent.stat().st_uid:
        os.chown(folder, folder.parent.stat().st_uid, folder.parent.stat().st_gid)

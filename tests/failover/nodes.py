"""PostgreSQL servers that replicate, and whatever may become of one: frozen, killed, promoted, rewound."""

import ctypes
import os
import random
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psycopg
from psycopg import pq

from bench.postgres import Postgres
from storage.embedded.account import account_for, reached_by
from storage.embedded.binaries import Binaries
from storage.embedded.postmaster import read_postmaster
from storage.embedded.programs import complaint, environment

DATABASE = "backroom"
_WITHIN_SECONDS = 90.0
_POLL_SECONDS = 0.02
_PORTS = range(20_000, 32_000)
"""Below those that the system gives to outgoing connections, which would be in the way of a restart."""
_SHARED_MEMORY_LINE = 6
_REMOVE = 0
"""IPC_RMID of sys/ipc.h."""

CONFIGURATION = """
listen_addresses = '127.0.0.1'
unix_socket_directories = ''
max_connections = 200
shared_buffers = '32MB'
dynamic_shared_memory_type = mmap
wal_log_hints = on
wal_keep_size = '256MB'
max_wal_size = '256MB'
wal_retrieve_retry_interval = '200ms'
wal_receiver_status_interval = '1s'
logging_collector = off
"""
"""What each server here has beside its port; as a person would set up a primary with a synchronous standby."""


class NodeFailed(Exception):
    """A server, or a program beside it, does not do what it is asked; the text holds its own words."""


def free_port() -> int:
    """A port of this machine that nobody listens on."""
    for port in random.sample(_PORTS, 200):
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise NodeFailed("there is no free port")


class Node:
    """One PostgreSQL on a data folder of its own. What it is asked to do blocks until it is done."""

    def __init__(self, name: str, data: Path, programs: Binaries) -> None:
        """`name` is what it calls itself when it follows another."""
        self.name = name
        self.data = data
        self.port = free_port()
        self._programs = programs
        self._account = account_for(data)
        self._process: subprocess.Popen[bytes] | None = None
        self._beginning = threading.Lock()
        self._discarded = False
        self._segment: int | None = None
        """The shared memory that a killed server left behind."""

    @property
    def url(self) -> str:
        return f"postgresql://postgres@127.0.0.1:{self.port}/{DATABASE}"

    @property
    def runs(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self, follows: int | None = None) -> None:
        """Starts it, as a standby of what listens on the port `follows`, or as a primary; it answers then."""
        (self.data / "postmaster.pid").unlink(missing_ok=True)  # of a killed one, all of which has ended
        arguments = [str(self._programs.program("postgres")), "-D", str(self.data)]
        for setting in self._role(follows):
            arguments += ["-c", setting]
        log = self.data.with_name(f"{self.data.name}.log")
        with log.open("ab") as output, self._beginning:
            if self._discarded:
                raise NodeFailed(f"{self.name} is not started any more")
            self._process = subprocess.Popen(
                self._command(arguments),
                cwd="/",
                env=environment(),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                umask=0o077,
                start_new_session=True,
            )
        self._await_ready(log)
        self._segment = None

    def _role(self, follows: int | None) -> Iterator[str]:
        """The settings of its own; what makes it a standby lies in its folder."""
        yield f"port={self.port}"
        mark = self.data / "standby.signal"
        mark.unlink(missing_ok=True)
        if follows is not None:
            mark.touch()
            self._account.own(mark)
            source = f"host=127.0.0.1 port={follows} user=postgres"
            yield f"primary_conninfo={source} application_name={self.name}"

    def freeze(self) -> None:
        """None of its processes moves any more; its connections stand."""
        self._signal(signal.SIGSTOP, self._pids())
        self._signal(signal.SIGSTOP, self._pids())  # those that were started meanwhile

    def resume(self) -> None:
        self._signal(signal.SIGCONT, self._pids())

    def crash(self) -> None:
        """Kills all of its processes, as a crash of the machine would."""
        if self._process is None:
            return
        found = read_postmaster(self.data)
        self._segment = self._shared_memory() if found is not None else None
        pids = self._pids()
        self._signal(signal.SIGKILL, pids)
        self._process.wait()
        self._process = None
        self._await_gone(pids)

    def stop(self) -> None:
        """Ends it at once in good order, as `pg_ctl stop -m fast` does; one that does not end is killed."""
        if self._process is None:
            return
        self._process.send_signal(signal.SIGINT)
        try:
            self._process.wait(30)
            self._process = None
        except subprocess.TimeoutExpired:
            self.crash()

    def discard(self) -> None:
        """Leaves nothing of it: no process, no shared memory; a start under way in another thread ends, too."""
        with self._beginning:
            self._discarded = True
        with suppress(ProcessLookupError):
            self.resume()
        self.crash()
        if self._segment is not None:
            ctypes.CDLL(None).shmctl(self._segment, _REMOVE, None)
            self._segment = None

    def promote(self) -> None:
        """Makes a standby a primary which waits for no standby of its own, since it has none yet."""
        self.execute("ALTER SYSTEM SET synchronous_standby_names = ''", "SELECT pg_reload_conf()")
        self.execute(f"SELECT pg_promote(true, {_WITHIN_SECONDS:.0f})")

    def wait_for_standby(self, name: str | None) -> None:
        """Commits wait for this standby from now on, which follows already; None has them wait for nobody."""
        if name is not None:
            self.await_row(
                f"SELECT 1 FROM pg_stat_replication WHERE application_name = '{name}' AND state = 'streaming'"
            )
        self.execute(f"ALTER SYSTEM SET synchronous_standby_names = '{name or ''}'", "SELECT pg_reload_conf()")
        if name is not None:
            self.await_row(
                f"SELECT 1 FROM pg_stat_replication WHERE application_name = '{name}' AND sync_state = 'sync'"
            )

    def rewind(self, primary: "Node") -> None:
        """Takes back what this stopped server has and the new primary has not, so that it can follow."""
        primary.execute("CHECKPOINT")
        source = f"host=127.0.0.1 port={primary.port} user=postgres dbname=postgres"
        arguments = ["--target-pgdata", str(self.data), "--source-server", source, "--no-sync"]
        (self.data / "postmaster.pid").unlink(missing_ok=True)
        ended = subprocess.run(
            self._command([str(self._programs.program("pg_rewind")), *arguments]),
            cwd="/",
            env=environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_WITHIN_SECONDS,
        )
        if ended.returncode != 0:
            raise NodeFailed(f"pg_rewind: {complaint(ended.stderr or ended.stdout)}")

    def execute(self, *statements: str) -> Any:
        """The first value of the last statement; each runs by itself."""
        with psycopg.connect(self.url, autocommit=True, connect_timeout=10) as connection:
            row = None
            for statement in statements:
                cursor = connection.execute(statement.encode())
                row = cursor.fetchone() if cursor.description else None
        return row[0] if row else None

    def await_row(self, question: str) -> None:
        until = time.monotonic() + _WITHIN_SECONDS
        while self.execute(question) is None:
            if time.monotonic() > until:
                raise NodeFailed(f"{self.name}: never true: {question}")
            time.sleep(_POLL_SECONDS)

    def terminate_clients(self, waiting_alone: bool = False) -> int:
        """Ends the connections of clients, or only those whose commit waits for a standby; returns how many."""
        which = "AND wait_event = 'SyncRep'" if waiting_alone else ""
        ended = (
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
            f" WHERE datname = '{DATABASE}' AND pid <> pg_backend_pid() AND backend_type = 'client backend' {which}"
        )
        return int(self.execute(ended))

    def _command(self, arguments: list[str]) -> list[str]:
        return self._account.command(arguments, [*reached_by(self._programs), self.data])

    def _await_ready(self, log: Path) -> None:
        assert self._process is not None
        until = time.monotonic() + _WITHIN_SECONDS
        while self._process.poll() is None:
            found = read_postmaster(self.data)
            ours = found is not None and found.pid == self._process.pid
            if ours and pq.PGconn.ping(f"host=127.0.0.1 port={self.port}".encode()) == pq.Ping.OK:
                return
            if time.monotonic() > until:
                raise NodeFailed(f"{self.name} does not become ready")
            time.sleep(_POLL_SECONDS)
        raise NodeFailed(f"{self.name} does not start: {complaint(log.read_text(errors='replace'))}")

    def _pids(self) -> tuple[int, ...]:
        return Postgres(self._process.pid, "").pids() if self._process is not None else ()

    def _signal(self, number: signal.Signals, pids: Iterable[int]) -> None:
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, number)

    def _await_gone(self, pids: Iterable[int]) -> None:
        until = time.monotonic() + _WITHIN_SECONDS
        while any(Path(f"/proc/{pid}").exists() for pid in pids):
            if time.monotonic() > until:
                raise NodeFailed(f"{self.name} was killed, and does not end")
            time.sleep(_POLL_SECONDS)

    def _shared_memory(self) -> int | None:
        lines = (self.data / "postmaster.pid").read_text().splitlines()
        words = lines[_SHARED_MEMORY_LINE].split() if len(lines) > _SHARED_MEMORY_LINE else []
        return int(words[1]) if len(words) > 1 else None


def copied(name: str, template: Path, data: Path, programs: Binaries) -> Node:
    """A server on a copy of a data folder whose own server is stopped."""
    subprocess.run(["/bin/cp", "-a", str(template), str(data)], check=True)
    return Node(name, data, programs)


def removed(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)

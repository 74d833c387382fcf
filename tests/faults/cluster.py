"""A PostgreSQL of these tests' own, which they may stop, freeze and start again."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import psycopg

from tests.fixtures.postgres import POSTGRES_VERSION

_START = """
import os, pathlib, sys
from storage.embedded import EmbeddedPostgres
print(EmbeddedPostgres(pathlib.Path(sys.argv[1]), version=int(sys.argv[2])).url, flush=True)
os._exit(0)  # leaves it running
"""
"""Run in a process of its own: to fork from one in which gRPC is at work may crash the child."""


class Cluster:
    """An embedded server that waits for its disk, as a real one does."""

    def __init__(self, folder: Path) -> None:
        self._pid_file = folder / "postmaster.pid"
        self._start = [sys.executable, "-c", _START, str(folder), str(POSTGRES_VERSION)]
        self.url = self._started()

    @asynccontextmanager
    async def stopped(self) -> AsyncIterator[None]:
        """Nothing answers within the block."""
        await asyncio.to_thread(self.close)
        try:
            yield
        finally:
            assert await asyncio.to_thread(self._started) == self.url

    @asynccontextmanager
    async def frozen(self) -> AsyncIterator[None]:
        """Connections stand within the block, and nothing is answered on them."""
        processes = [self._pid(), *self._backends()]
        for process in processes:
            os.kill(process, signal.SIGSTOP)
        try:
            yield
        finally:
            for process in processes:
                os.kill(process, signal.SIGCONT)

    def terminate_connections(self, database: str) -> int:
        """Ends every connection to a database, and returns how many those were."""
        ended = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = %s"
        with psycopg.connect(self.url, autocommit=True) as connection:
            row = connection.execute(ended, [database]).fetchone()
        return int(row[0]) if row else 0

    def close(self) -> None:
        """Stops it at once, as `pg_ctl stop -m fast` does, and returns when it has."""
        os.kill(self._pid(), signal.SIGINT)
        for _ in range(1000):
            if not self._pid_file.exists():
                return
            time.sleep(0.01)
        raise TimeoutError("the database does not stop")

    def _started(self) -> str:
        return subprocess.run(self._start, check=True, capture_output=True, text=True, timeout=60).stdout.strip()

    def _backends(self) -> list[int]:
        with psycopg.connect(self.url, autocommit=True) as connection:
            others = "SELECT pid FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
            return [int(row[0]) for row in connection.execute(others)]

    def _pid(self) -> int:
        return int(self._pid_file.read_text().splitlines()[0])

"""A PostgreSQL of these tests' own, which they may stop, freeze and start again."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import psutil
import psycopg

from storage.embedded import EmbeddedPostgres


class Cluster:
    """An embedded server that waits for its disk, as a real one does."""

    def __init__(self, folder: Path) -> None:
        self._postgres = EmbeddedPostgres(folder)
        self.url = self._postgres.url

    @asynccontextmanager
    async def stopped(self) -> AsyncIterator[None]:
        """Nothing answers within the block."""
        await asyncio.to_thread(self._postgres._server.stop)
        try:
            yield
        finally:
            await asyncio.to_thread(self._postgres._server.ensure_postgres_running)

    @asynccontextmanager
    async def frozen(self) -> AsyncIterator[None]:
        """Connections stand within the block, and nothing is answered on them."""
        postmaster = psutil.Process(self._postgres._server.get_postmaster_info().pid)
        processes = [postmaster, *postmaster.children()]
        for process in processes:
            process.suspend()
        try:
            yield
        finally:
            for process in processes:
                process.resume()

    def terminate_connections(self, database: str) -> int:
        """Ends every other connection to a database, and returns how many those were."""
        ended = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = %s"
        with psycopg.connect(self.url, autocommit=True) as connection:
            row = connection.execute(ended, [database]).fetchone()
        return int(row[0]) if row else 0

    def close(self) -> None:
        self._postgres.stop()

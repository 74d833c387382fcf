"""A PostgreSQL for these tests alone, which they may stop, freeze and start again."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from tests.fixtures.postgres_nodes import Node


class Cluster:
    """A server that waits for its disk, as a real one does."""

    def __init__(self, folder: Path) -> None:
        self._node = Node(folder)
        self._node.make()
        self._node.start()
        self.url = self._node.url

    @asynccontextmanager
    async def stopped(self) -> AsyncIterator[None]:
        """Stops the server within the block."""
        await asyncio.to_thread(self._node.stop)
        try:
            yield
        finally:
            await asyncio.to_thread(self._node.start)

    @asynccontextmanager
    async def frozen(self) -> AsyncIterator[None]:
        """Within the block, connections stay open, and nothing responds on them."""
        with self._node.frozen():
            yield

    def terminate_connections(self, database: str) -> int:
        """Ends every connection to a database, and returns their number."""
        return self._node.terminate_clients(database)

    def close(self) -> None:
        self._node.stop()
        self._node.discard()

"""The driver's connection, made to let go at once."""

import asyncio
from typing import Any

import psycopg
from psycopg import waiting


class Connection(psycopg.AsyncConnection[Any]):
    """A connection whose cancelled statement ends with the connection.

    The driver would ask the server to cancel it and wait up to ten seconds for an answer, which a frozen server never
    gives, so that no deadline would hold. The server notices by `client_connection_check_interval` that nobody listens.
    """

    async def wait(self, gen: Any, interval: float = 0.1, timeout: float | None = None) -> Any:  # noqa: ASYNC109 - theirs
        try:
            return await waiting.wait_async(gen, self.pgconn.socket, interval=interval, timeout=timeout)
        except asyncio.CancelledError:
            self.pgconn.finish()
            raise

"""What others tell by NOTIFY as they commit: heard on a session of its own."""

from collections.abc import AsyncIterator

from psycopg import sql

from storage.connector import Connector
from storage.errors import translated


class Notifications:
    """A way to hear notifications; there is none behind a pooler for transactions, unless one leads past it."""

    def __init__(self, connector: Connector | None) -> None:
        self._connector = connector

    async def hear(self, channel: str) -> AsyncIterator[str]:
        """What is told on a channel from now on; first an empty text, once nothing that comes is missed any more.

        It ends at once where nothing can be heard. A connection that is lost without a word may be found out late: who
        must know polls beside it. Raises StoreUnavailable.
        """
        if self._connector is None:
            return
        with translated():
            connection = await self._connector.open()
            try:
                await connection.set_autocommit(True)
                await connection.execute(sql.SQL("LISTEN {}").format(sql.Identifier(channel)))
                yield ""
                async for told in connection.notifies():
                    yield told.payload
            finally:
                await connection.close()

"""The pool: connections to one PostgreSQL, the transactions on them, and the commits under way."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from sqlalchemy import event
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from storage.commits import Commits
from storage.connector import Connector
from storage.errors import translated
from storage.timelines import Timelines


class Pool:
    """Connections to one PostgreSQL; every error that it raises is one of `storage.errors`, or a defect."""

    def __init__(self, connector: Connector, size: int, *, commit_seconds: float) -> None:
        """`size` counts the connections without the dedicated one; `commit_seconds` is how long a commit is waited
        for."""
        self._connector = connector
        self._engine = _engine(size, connector)
        self._dedicated_engine = _engine(1, connector)
        # As many connections as are left by those that wait, so that readings go on meanwhile.
        self._commits = Commits(commit_seconds, max_waiting=max(1, size // 2))

    @property
    def commits_overdue(self) -> bool:
        """Whether a commit waits for so long to be confirmed that it was abandoned, or soon will be."""
        return self._commits.overdue

    @property
    def timelines(self) -> Timelines:
        """Of the primaries that its connections led to."""
        return self._connector.timelines

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncConnection]:
        """A transaction that commits at the end of the block, and leaves nothing behind if the block raises.

        Once the commit has begun, a cancelled caller waits for its end: otherwise the row might be stored and nobody
        know of it. Where that takes too long, or the wait for a synchronous standby is cut short, StoreUnavailable is
        raised, and it is unknown whether it will commit.
        """
        with translated():
            async with self._commits.connected(self._engine) as connection:
                await connection.begin()
                yield connection
                await self._commits.commit(connection)

    @asynccontextmanager
    async def connected(self, *, dedicated: bool = False, **options: Any) -> AsyncIterator[AsyncConnection]:
        """A connection with these options until the block ends; `dedicated` is the one that is kept for one question.

        They are set once the connection is in our hands: where the engine sets them while it takes one out of the pool,
        a caller that is cancelled at that moment leaves the connection to the garbage collector.
        """
        with translated():
            async with (self._dedicated_engine if dedicated else self._engine).connect() as connection:
                try:
                    await connection.execution_options(**options)
                except asyncio.CancelledError:
                    # Nobody knows how far that came: the pool must not hand it to the next one.
                    await connection.invalidate()
                    raise
                yield connection

    async def close(self) -> None:
        """Ends all connections; abandoned commits are waited for no longer."""
        await self._commits.close()
        await self._engine.dispose()
        await self._dedicated_engine.dispose()
        await self._connector.close()


def _engine(pool_size: int, connector: Connector) -> AsyncEngine:
    engine = create_async_engine(
        "postgresql+psycopg://",
        async_creator=connector.open,
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=5,
        # An error's text must never carry the values of a row: it may end in a log.
        hide_parameters=True,
    )

    @event.listens_for(engine.sync_engine, "checkout")
    def check_out(connection: Any, *_: object) -> None:
        """Has the pool open another one in the place of one that was abandoned while nobody used it."""
        if connection.driver_connection.abandoned:
            raise DisconnectionError(connection.driver_connection.abandoned)

    return engine

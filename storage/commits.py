"""Waiting for commits: to their end, though not for ever."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from storage.errors import StoreUnavailable
from storage.problems import DatabaseProblem, ProblemKind


class Commits:
    """The commits under way, of which those that take too long go on without whoever asked for them.

    A commit that waits for a synchronous standby cannot be taken back, and PostgreSQL does not notice that its client
    has gone. So its connection stays taken until it ends, or else each of our retries would leave one more session
    behind, until the server has none to spare. And once so many wait, no further transaction is begun.
    """

    def __init__(self, seconds: float, *, max_waiting: int) -> None:
        """`seconds` is how long a commit is waited for."""
        self._seconds = seconds
        self._max_waiting = max_waiting
        self._began: dict[asyncio.Future[None], float] = {}
        self._held: dict[AsyncConnection, AsyncExitStack] = {}
        self._abandoned: dict[asyncio.Task[None], asyncio.Future[None]] = {}

    @property
    def overdue(self) -> bool:
        """Whether one has waited for half of the time that it may take, or was given up and has not ended yet."""
        began = min(self._began.values(), default=None)
        return began is not None and asyncio.get_running_loop().time() - began > self._seconds / 2

    @property
    def waiting(self) -> int:
        """How many were given up that have not ended yet."""
        return len(self._abandoned)

    @asynccontextmanager
    async def connected(self, engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
        """A connection of the pool's until the block ends, or the commit does that the block gave up.

        Raises StoreUnavailable at once where too many commits wait already.
        """
        if self.waiting >= self._max_waiting:
            raise StoreUnavailable(
                DatabaseProblem(ProblemKind.UNCONFIRMED, f"{self.waiting} commits wait to be confirmed")
            )
        async with AsyncExitStack() as held:
            connection = await held.enter_async_context(engine.connect())
            self._held[connection] = held
            try:
                yield connection
            finally:
                self._held.pop(connection, None)

    async def commit(self, connection: AsyncConnection) -> None:
        """Returns once it has committed, also where the caller is cancelled meanwhile, who is told so then.

        Raises StoreUnavailable after the time that a commit may take; it may still come to pass.
        """
        commit = asyncio.ensure_future(connection.commit())
        self._began[commit] = asyncio.get_running_loop().time()
        commit.add_done_callback(self._began.pop)
        cancelled = await _waited_for(commit, self._seconds)
        if commit.done():
            commit.result()
        else:
            self._go_on(connection, commit)
        if cancelled:
            raise asyncio.CancelledError
        if not commit.done():
            said = f"a commit was not confirmed within {self._seconds:g} s: nobody knows whether it will stand"
            raise StoreUnavailable(DatabaseProblem(ProblemKind.UNCONFIRMED, said))

    async def close(self) -> None:
        """Waits no longer for those that were given up, whose connections end."""
        for commit in self._abandoned.values():
            commit.cancel()
        await asyncio.gather(*self._abandoned, return_exceptions=True)

    def _go_on(self, connection: AsyncConnection, commit: "asyncio.Future[None]") -> None:
        """Takes the connection over until the commit has ended, and gives it back to the pool then."""
        held = self._held.pop(connection).pop_all()

        async def give_back() -> None:
            async with held:
                await asyncio.wait([commit])
                if commit.cancelled() or commit.exception() is not None:
                    await connection.invalidate()

        task = asyncio.create_task(give_back())
        self._abandoned[task] = commit
        task.add_done_callback(self._abandoned.pop)


async def _waited_for(commit: "asyncio.Future[None]", seconds: float) -> bool:
    """Returns once a commit has ended, or after so many seconds: whether the caller was cancelled meanwhile."""
    clock = asyncio.get_running_loop().time
    until = clock() + seconds
    cancelled = False
    while not commit.done() and (left := until - clock()) > 0:
        try:
            await asyncio.wait([commit], timeout=left)
        except asyncio.CancelledError:
            cancelled = True
    return cancelled

"""The ledger under concurrent use: many requests of an event loop in one commit."""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from sandbox.ledger import Ledger

_LARGEST = 256

Result = TypeVar("Result")
Act = Callable[[Ledger], Any]


class LedgerThread:
    """One thread with the ledger, which executes what has queued up while it was busy, in one transaction.

    A returned result is on the disk. An action that raises leaves nothing behind, and the others of its batch commit;
    if the commit fails, all of them raise.
    """

    def __init__(self, open_ledger: Callable[[], Ledger]) -> None:
        """The ledger is opened, used and closed in the thread."""
        self._open_ledger = open_ledger
        self._thread = ThreadPoolExecutor(1, "ledger")
        self._waiting: deque[tuple[Act, asyncio.Future[Any]]] = deque()
        self._working: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Raises sqlite3.Error if the file is no ledger, OSError if it cannot be created."""
        self._ledger = await asyncio.get_running_loop().run_in_executor(self._thread, self._open_ledger)

    async def do(self, act: Callable[[Ledger], Result]) -> Result:
        answer: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._waiting.append((act, answer))
        if self._working is None:
            self._working = asyncio.create_task(self._work())
        return await answer

    async def close(self) -> None:
        """Returns when all requests are done."""
        if self._working is not None:
            await self._working
        await asyncio.get_running_loop().run_in_executor(self._thread, self._ledger.close)
        self._thread.shutdown()

    async def _work(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            while self._waiting:
                batch = [self._waiting.popleft() for _ in range(min(len(self._waiting), _LARGEST))]
                results = await loop.run_in_executor(self._thread, self._commit, [act for act, _ in batch])
                for (_, answer), result in zip(batch, results, strict=True):
                    _settle(answer, result)
        finally:
            self._working = None

    def _commit(self, acts: Sequence[Act]) -> Sequence[Any]:
        connection = self._ledger.connection
        try:
            connection.execute("BEGIN IMMEDIATE")
            results = [self._try(act) for act in acts]
            connection.execute("COMMIT")
        except Exception as error:  # noqa: BLE001 - each requester gets it
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            return [error] * len(acts)
        return results

    def _try(self, act: Act) -> Any:
        self._ledger.connection.execute("SAVEPOINT act")
        try:
            result = act(self._ledger)
        except Exception as error:  # noqa: BLE001 - the requester gets it
            self._ledger.connection.execute("ROLLBACK TO act")
            result = error
        self._ledger.connection.execute("RELEASE act")
        return result


def _settle(answer: "asyncio.Future[Any]", result: Any) -> None:
    if answer.done():  # the caller has gone
        return
    if isinstance(result, Exception):
        answer.set_exception(result)
    else:
        answer.set_result(result)

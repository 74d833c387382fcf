"""Work that may take long, or that hostile content may break, in processes of their own."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from time import monotonic

from server.frame.child_process import HEADER_BYTES
from server.frame.errors import Overloaded

_ENDING_SECONDS = 2.0
_AT_ONCE_SECONDS = 1.0
"""One that dies later died of its request, which no other process is given."""


class _Died(Exception):
    """A process ended instead of answering."""


class Processes:
    """Answers requests off the event loop, and off its interpreter, in processes that are started when needed.

    One that exceeds its bounds is killed, and the next request gets a new one. They hold no secrets: their environment
    has nothing but the way to their code. They end with this process, however it ends, since their input does.
    """

    def __init__(self, program: str, *, most: int = 2, most_waiting: int = 100, longest_seconds: float = 30.0) -> None:
        """`program` is a module that calls `answer_requests`; `most` of it run at once, so that one request that takes
        long keeps no other one waiting. `longest_seconds` are of the clock, for what its own bounds did not end.
        """
        self._program = program
        self._places = asyncio.Semaphore(most)
        self._most_waiting = most_waiting
        self._longest_seconds = longest_seconds
        self._waiting = 0
        self._idle: list[asyncio.subprocess.Process] = []
        self._closed = False

    async def ask(self, request: bytes) -> bytes | None:
        """The answer of a process; None where that exceeded its bounds or died, and was ended. Raises Overloaded."""

        async def given() -> bytes:
            return request

        return await self.ask_with(given)

    async def ask_with(self, request: Callable[[], Awaitable[bytes]]) -> bytes | None:
        """The same of a large request, which is made once a process is free for it: those that wait take no memory.

        Raises what making it raises, too.
        """
        async with self._place():
            return await self._answered(await request())

    async def close(self) -> None:
        """Ends the processes; those that work are ended by whoever waits for them."""
        self._closed = True
        while self._idle:
            await _ended(self._idle.pop())

    async def _answered(self, request: bytes) -> bytes | None:
        if self._idle:
            began = monotonic()
            try:
                return await self._answer_of(self._idle.pop(), request)
            except _Died:
                if monotonic() - began > _AT_ONCE_SECONDS:
                    return None
                # Perhaps before it had this request.
        try:
            return await self._answer_of(await self._started(), request)
        except _Died:
            return None

    async def _answer_of(self, process: asyncio.subprocess.Process, request: bytes) -> bytes | None:
        usable = False
        try:
            async with asyncio.timeout(self._longest_seconds):
                answer = await _exchanged(process, request)
            usable = not self._closed
        except TimeoutError:
            return None
        except (asyncio.IncompleteReadError, ConnectionError) as error:
            raise _Died from error
        finally:
            if usable:
                self._idle.append(process)
            else:  # also where its caller gave up: it would answer the next one with this
                _kill(process)
                await asyncio.shield(process.wait())
        return answer

    @asynccontextmanager
    async def _place(self) -> AsyncIterator[None]:
        if self._waiting >= self._most_waiting:
            raise Overloaded
        self._waiting += 1
        try:
            await self._places.acquire()
        finally:
            self._waiting -= 1
        try:
            yield
        finally:
            self._places.release()

    async def _started(self) -> asyncio.subprocess.Process:
        # In a session of its own, so that Ctrl+C in a terminal ends the server alone, which then ends it.
        return await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", self._program),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            env={"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            start_new_session=True,
        )


async def _exchanged(process: asyncio.subprocess.Process, request: bytes) -> bytes:
    assert process.stdin is not None  # noqa: S101 - both are pipes
    assert process.stdout is not None  # noqa: S101
    process.stdin.write(len(request).to_bytes(HEADER_BYTES))
    process.stdin.write(request)
    await process.stdin.drain()
    header = await process.stdout.readexactly(HEADER_BYTES)
    return await process.stdout.readexactly(int.from_bytes(header))


async def _ended(process: asyncio.subprocess.Process) -> None:
    assert process.stdin is not None  # noqa: S101 - it is a pipe
    process.stdin.close()
    try:
        async with asyncio.timeout(_ENDING_SECONDS):
            await process.wait()
    except TimeoutError:
        _kill(process)
        await process.wait()


def _kill(process: asyncio.subprocess.Process) -> None:
    with suppress(ProcessLookupError):
        process.kill()

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress

from server.articles.rendering.comparing import Hunk
from server.articles.rendering.work import (
    HEADER_BYTES,
    Rendered,
    compare_answer,
    compare_request,
    render_answer,
    render_request,
)
from server.frame.errors import Overloaded

_MOST = 2
"""Processes at once, so that one text that takes long keeps no other one waiting."""
_MAX_WAITING = 100
_LONGEST_SECONDS = 30.0
"""Of the clock, for what its own bound of CPU time did not end."""
_ENDING_SECONDS = 2.0
_LIMIT_BYTES = 16 * 1024 * 1024


class _Died(Exception):
    """A process ended instead of answering."""


class Processes:
    """Works on texts off the event loop, and off its interpreter, in processes that are started when needed.

    One that exceeds its bounds is killed, and the next text gets a new one. They hold no secrets: their environment has
    nothing but the way to their code. They end with this process, however it ends, since their input does.
    """

    def __init__(self) -> None:
        self._places = asyncio.Semaphore(_MOST)
        self._waiting = 0
        self._idle: list[asyncio.subprocess.Process] = []
        self._closed = False

    async def render(self, content: str) -> Rendered:
        """The HTML and the text of Markdown; raises TooCostly, Overloaded."""
        return render_answer(await self._asked(render_request(content)))

    async def compare(self, before: str, after: str) -> Sequence[Hunk]:
        """Where two texts differ; all their lines where to find that out takes too long. Raises Overloaded."""
        return compare_answer(await self._asked(compare_request(before, after)), before, after)

    async def close(self) -> None:
        """Ends the processes; those that work are ended by whoever waits for them."""
        self._closed = True
        while self._idle:
            await _ended(self._idle.pop())

    async def _asked(self, request: bytes) -> bytes | None:
        """The answer of a process; None where that exceeded its bounds, and was ended."""
        async with self._place():
            if self._idle:
                try:
                    return await self._answer_of(self._idle.pop(), request)
                except _Died:  # perhaps before it had this request
                    pass
            try:
                return await self._answer_of(await _started(), request)
            except _Died:
                return None

    async def _answer_of(self, process: asyncio.subprocess.Process, request: bytes) -> bytes | None:
        usable = False
        try:
            async with asyncio.timeout(_LONGEST_SECONDS):
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
        if self._waiting >= _MAX_WAITING:
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


async def _started() -> asyncio.subprocess.Process:
    # In a session of its own, so that Ctrl+C in a terminal ends the server alone, which then ends it.
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "server.articles.rendering"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        env={"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        start_new_session=True,
        limit=_LIMIT_BYTES,
    )


async def _exchanged(process: asyncio.subprocess.Process, request: bytes) -> bytes:
    assert process.stdin is not None  # noqa: S101 - both are pipes
    assert process.stdout is not None  # noqa: S101
    process.stdin.write(len(request).to_bytes(HEADER_BYTES) + request)
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

"""Answering a stream with a stream."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, TypeVar

Request = TypeVar("Request")
Answer = TypeVar("Answer")
Response = TypeVar("Response")


async def answered_in_order(
    requests: AsyncIterator[Request],
    answer: Callable[[Request], Awaitable[Answer]],
    respond: Callable[[Request, "asyncio.Future[Answer]"], Response],
    *,
    at_once: int,
) -> AsyncIterator[Response]:
    """Answers requests as they come, up to so many at the same time, and gives the responses in the requests' order.

    `respond` is handed each answer once it is there, or has failed; a future that `answer` returns costs no task.
    While that many wait, no more is read, so that a fast sender cannot fill the memory.
    An error of the requests is raised after the responses to those before it; an error of `respond` is raised in its
    place.
    """
    waiting: deque[tuple[Request, asyncio.Future[Answer]]] = deque()
    arrived = asyncio.Event()
    room = asyncio.Semaphore(at_once)

    async def read() -> None:
        try:
            await room.acquire()
            async for request in requests:
                waiting.append((request, asyncio.ensure_future(answer(request))))
                arrived.set()
                await room.acquire()
        finally:
            arrived.set()

    reader = asyncio.create_task(read())
    try:
        while True:
            while waiting:
                await _ended(waiting[0][1])
                response = respond(*waiting.popleft())
                room.release()
                yield response
            if reader.done():
                if waiting:
                    continue
                reader.result()
                return
            arrived.clear()
            await arrived.wait()
    finally:
        unfinished: list[asyncio.Future[Any]] = [reader, *(answer for _, answer in waiting)]
        for each in unfinished:
            each.cancel()
        await asyncio.gather(*unfinished, return_exceptions=True)


async def _ended(answer: "asyncio.Future[Any]") -> None:
    if not answer.done():
        await asyncio.wait([answer])

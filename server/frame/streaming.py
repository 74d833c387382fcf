"""Answering a stream with a stream."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, TypeVar

Request = TypeVar("Request")
Response = TypeVar("Response")


async def answered_in_order(
    requests: AsyncIterator[Request], answer: Callable[[Request], Awaitable[Response]], *, at_once: int
) -> AsyncIterator[Response]:
    """Answers requests as they come, up to so many at once, and gives the answers in the requests' order.

    While that many wait, no more is read, so that a fast sender cannot fill the memory.
    What the requests raise rises after the answers to those before it; what an answer raises rises in its place.
    """
    waiting: deque[asyncio.Future[Response]] = deque()
    arrived = asyncio.Event()
    room = asyncio.Semaphore(at_once)

    async def read() -> None:
        try:
            await room.acquire()
            async for request in requests:
                waiting.append(asyncio.ensure_future(answer(request)))
                arrived.set()
                await room.acquire()
        finally:
            arrived.set()

    reader = asyncio.create_task(read())
    try:
        while True:
            while waiting:
                response = await waiting[0]
                waiting.popleft()
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
        unfinished: list[asyncio.Future[Any]] = [reader, *waiting]
        for each in unfinished:
            each.cancel()
        await asyncio.gather(*unfinished, return_exceptions=True)

"""Gathering calls into batches: those that arrive while one batch runs become the next one.

A batch begins once the event loop has turned a few times without bringing another call. So a lone call waits for some
tens of microseconds, and the busier the server is, the larger the batches grow. Only a crowd waits by a timer: callers
who were answered together come back together, though not at once, and are waited for up to two milliseconds.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from server.frame.errors import Contention, Refusal, Stopping
from storage.errors import StoreContention, StoreUnavailable
from storage.problems import DatabaseProblem, ProblemKind
from storage.time_limits import ANSWER_SECONDS

_MAX_TRIES = 5
"""How often a transaction that collides with others is begun."""
_LULL_TURNS = 8
"""In turns of the loop: gRPC takes several of them to bring one call, however many have arrived."""
_CROWD_SIZE = 5
"""A batch of so many, and the next one is expected to be like it."""
_CROWD_SHARE = 0.75
"""The share of the last batch that is waited for."""
_CROWD_WAITS, _CROWD_WAIT_SECONDS = 2, 0.001
"""How often that is waited for, and how long each time, in seconds; the loop's timers know no shorter ones."""
_STUCK_SECONDS = 10.0
"""For how long a batch that was given up counts against readiness where none has been tried since."""

Request = TypeVar("Request")
Answer = TypeVar("Answer")


async def retry_on_contention(act: Callable[[], Awaitable[Answer]]) -> Answer:
    """Acts, in a transaction of its own each time, until nothing collides; raises Contention after five tries."""
    for _ in range(_MAX_TRIES):
        try:
            return await act()
        except StoreContention:
            continue
    raise Contention


class _WrongCount(Exception):
    """The use case is defective: it answered more asks, or fewer, than it was given."""


class _StrayCancellation(Exception):
    """The use case is defective: it let a cancellation rise that nobody had asked for."""


@dataclass(frozen=True, slots=True)
class _Pending(Generic[Request, Answer]):
    request: Request
    weight: int
    answer: "asyncio.Future[Answer]"


class Batcher(Generic[Request, Answer]):
    """Hands asks to a use case in batches, one batch at a time, in the order they came.

    `run` decides a batch in one transaction, with one answer or refusal for each ask; if it raises, nothing of the
    batch has happened. A batch that collides with another server's is tried again. One that fails for any other
    reason is halved until the ask that makes it fail stands alone, and that one fails alone.

    All others wait behind a batch, so that one which takes too long is given up: `run` is cancelled, and its callers
    get StoreUnavailable, since nobody knows whether it committed. No ask is at fault, so it is not halved; but the next
    batches begin smaller, in case it was too large for a slow machine, and grow again as they succeed.
    """

    def __init__(
        self,
        run: Callable[[Sequence[Request]], Awaitable[Sequence[Answer | Refusal]]],
        *,
        weigh: Callable[[Request], int] = lambda _: 1,
        largest: int = 256,
        longest_seconds: float = ANSWER_SECONDS,
    ) -> None:
        self._run = run
        self._weigh = weigh
        self._largest = self._limit = largest
        self._longest_seconds = longest_seconds
        self._began_at: float | None = None
        self._abandoned_at: float | None = None
        self._queue: deque[_Pending[Request, Answer]] = deque()
        self._worker: asyncio.Task[None] | None = None
        self._closed = False
        self._last = 0
        """How many the last batch held."""

    def stuck(self) -> bool:
        """Whether the batch that runs has used half of its time, or the last one was given up a moment ago."""
        now = asyncio.get_running_loop().time()
        if self._began_at is not None and now - self._began_at > self._longest_seconds / 2:
            return True
        return self._abandoned_at is not None and now - self._abandoned_at < _STUCK_SECONDS

    async def submit(self, request: Request) -> Answer:
        """The answer to one ask; raises its refusal.

        A caller that gives up while its ask waits takes it back; once its batch runs, the ask is decided.
        """
        return await self.put(request)

    def put(self, request: Request) -> "asyncio.Future[Answer]":
        """The same without waiting: the answer will be there; raises Stopping."""
        if self._closed:
            raise Stopping
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._queue.append(_Pending(request, self._weigh(request), answer))
        if self._worker is None:
            self._worker = asyncio.create_task(self._work())
        return answer

    async def close(self) -> None:
        """Takes no more asks, and returns when those taken are answered."""
        self._closed = True
        if self._worker is not None:
            await self._worker

    async def _work(self) -> None:
        try:
            while self._queue:
                await self._gather()
                await self._decide(self._next())
        finally:
            self._worker = None

    async def _gather(self) -> None:
        """Returns once there are enough asks for a batch, or no more come for a while."""
        await self._wait_for_lull()
        for _ in range(_CROWD_WAITS):
            if self._last < _CROWD_SIZE or len(self._queue) >= _CROWD_SHARE * self._last:
                break
            await asyncio.sleep(_CROWD_WAIT_SECONDS)
            await self._wait_for_lull()

    async def _wait_for_lull(self) -> None:
        waiting, turns = 0, 0
        while turns < _LULL_TURNS and len(self._queue) < self._largest:
            turns = turns + 1 if len(self._queue) == waiting else 0
            waiting = len(self._queue)
            await asyncio.sleep(0)

    def _next(self) -> list[_Pending[Request, Answer]]:
        """The next asks that together weigh no more than the largest batch may, and at least one where any waits."""
        batch: list[_Pending[Request, Answer]] = []
        weight = 0
        while self._queue and (not batch or weight + self._queue[0].weight <= self._limit):
            waiting = self._queue.popleft()
            if not waiting.answer.done():
                batch.append(waiting)
                weight += waiting.weight
        self._last = len(batch)
        return batch

    async def _decide(self, batch: Sequence[_Pending[Request, Answer]]) -> None:
        if not batch:  # whoever waited has gone
            return
        try:
            answers = await self._try([waiting.request for waiting in batch])
        except (StoreUnavailable, Contention, _WrongCount) as error:  # no ask is at fault, and halves would not help
            for waiting in batch:
                _settle(waiting.answer, error)
        except Exception as error:  # noqa: BLE001 - each ask's own caller is told what became of it
            if len(batch) == 1:
                _settle(batch[0].answer, error)
            else:
                middle = len(batch) // 2
                await self._decide(batch[:middle])
                await self._decide(batch[middle:])
        else:
            for waiting, answer in zip(batch, answers, strict=True):
                _settle(waiting.answer, answer)

    async def _try(self, requests: Sequence[Request]) -> Sequence[Answer | Refusal]:
        self._began_at = asyncio.get_running_loop().time()
        try:
            async with asyncio.timeout(self._longest_seconds) as limit:
                answers = await retry_on_contention(lambda: self._run(requests))
        except TimeoutError as error:
            if not limit.expired():  # the use case's own
                raise
            self._limit = max(1, self._limit // 2)
            self._abandoned_at = asyncio.get_running_loop().time()
            message = f"a batch took longer than {self._longest_seconds:g} s: nobody knows whether it will stand"
            raise StoreUnavailable(DatabaseProblem(ProblemKind.UNCONFIRMED, message)) from error
        except asyncio.CancelledError as error:
            if (worker := asyncio.current_task()) and worker.cancelling():
                raise
            # A stray one must not end the worker, and leave the callers waiting for answers that never come.
            raise _StrayCancellation from error
        finally:
            self._began_at = None
        self._limit, self._abandoned_at = min(2 * self._limit, self._largest), None
        if len(answers) != len(requests):
            raise _WrongCount(f"{len(answers)} answers to {len(requests)} asks")
        return answers


def _settle(future: "asyncio.Future[Answer]", answer: Answer | Exception) -> None:
    if future.done():  # its caller has gone
        return
    if isinstance(answer, Exception):
        future.set_exception(answer)
    else:
        future.set_result(answer)

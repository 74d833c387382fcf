"""The calls of a replay: with retries, bounded concurrency, and a count of refusals."""

from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Sequence
from enum import Enum
from typing import Protocol, TypeVar

import grpc

from backroom_client import Refusal, refusal_of
from backroom_client.concurrently import concurrently
from replay.figures import Refusals, UnexpectedAnswer

IN_FLIGHT = 64

UNDER_WAY = 500
"""How many changes may wait for the provider: the server's queue stays short, and progress is visible."""

RETRY_SECONDS = (0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0, 5.0)
"""In seconds: the wait before each retry, while the server is temporarily unavailable or busy."""

STALLED_SECONDS = 60.0
"""In seconds: how long it may take until the next item is settled."""

_REST_SECONDS = (0.05, 0.1, 0.2, 0.5)
"""In seconds: the wait after each poll; the last one repeatedly."""
_SHARE = 1.0
"""The minimum wait, as a multiple of the poll's duration, since the awaited work needs the server too."""

_OF_THE_CHANGE = frozenset(
    {
        grpc.StatusCode.INVALID_ARGUMENT,
        grpc.StatusCode.NOT_FOUND,
        grpc.StatusCode.ALREADY_EXISTS,
        grpc.StatusCode.FAILED_PRECONDITION,
        grpc.StatusCode.ABORTED,
    }
)
"""The codes that refuse one change and imply nothing for the next one."""

NOT_HERE = frozenset({grpc.StatusCode.PERMISSION_DENIED, grpc.StatusCode.UNIMPLEMENTED})
"""The codes of what the account may not do, or the server does not serve."""

Answer = TypeVar("Answer")
Item = TypeVar("Item")
Sleep = Callable[[float], Awaitable[None]]
Clock = Callable[[], float]


class ReplayFailed(Exception):
    """The replay cannot continue; the text is one line that says where it stopped, and why."""


class NotShown(Exception):
    """Something cannot be shown on this server, or by this account; the text says why."""


class Step(Enum):
    """The steps of a replay, in order; the value describes each."""

    IMPORT = "products imported"
    RECEIVE = "products stocked"
    PLACE = "orders placed"
    PAY = "orders paid"
    WRITE_OFF = "write-offs booked"
    RETURN = "returns booked"


class Progress(Protocol):
    """Receives the progress of a replay."""

    def begin(self, step: Step, total: int) -> None: ...

    def advance(self, count: int = 1) -> None: ...


class _Stalled(Exception):
    """The text says what is waiting."""


class Calls:
    """Makes the calls of every step."""

    def __init__(self, progress: Progress, sleep: Sleep, clock: Clock) -> None:
        self.progress = progress
        self.sleep = sleep
        self._clock = clock
        self._refused: Counter[tuple[str, str]] = Counter()
        self._examples: dict[tuple[str, str], str] = {}

    @property
    def refusals(self) -> Sequence[Refusals]:
        """The refusals so far, in the order in which each first occurred."""
        return [
            Refusals(what, reason, count, self._examples[what, reason])
            for (what, reason), count in self._refused.items()
        ]

    def refuse(self, what: str, which: str, reason: str, message: str) -> None:
        """Counts a refused change."""
        self._refused[what, reason] += 1
        self._examples.setdefault((what, reason), f"{which}: {message}")

    async def change(self, what: str, which: str, call: Callable[[], Awaitable[Answer]]) -> Answer | None:
        """The response; None if this change was refused, which is counted."""
        try:
            return await self.with_retries(call)
        except grpc.aio.AioRpcError as error:
            refusal = refusal_of(error)
            if refusal is None or refusal.code not in _OF_THE_CHANGE:
                raise
            self.refuse(what, which, reason_of(refusal), refusal.message)
            return None

    async def with_retries(self, call: Callable[[], Awaitable[Answer]]) -> Answer:
        """Makes a call that is safe to repeat, and retries it while the server is unavailable or busy."""
        for delay in RETRY_SECONDS:
            try:
                return await call()
            except grpc.aio.AioRpcError as error:
                if not may_pass(error):
                    raise
            await self.sleep(delay)
        return await call()

    async def concurrently(self, act: Callable[[Item], Awaitable[None]], items: Iterable[Item]) -> None:
        """Processes all items with bounded concurrency; the first failure cancels the others and is raised."""
        await concurrently(act, items, at_once=IN_FLIGHT)

    async def settle(
        self,
        what: str,
        items: Sequence[Item],
        begin: Callable[[Item], Awaitable[bool]],
        count_waiting: Callable[[], Awaitable[int]],
    ) -> None:
        """Starts asynchronous work, waits until it is settled, and advances by each item.

        `begin` returns whether an item is to be waited for, and `count_waiting` how many of all those still wait.
        If nothing was settled for a minute, the step fails.
        """
        for start in range(0, len(items), UNDER_WAY):
            begun = await self._begin(begin, items[start : start + UNDER_WAY])
            await self._until_settled(what, begun, count_waiting)

    async def _begin(self, begin: Callable[[Item], Awaitable[bool]], items: Sequence[Item]) -> int:
        """How many are to be waited for."""
        begun = 0

        async def act(item: Item) -> None:
            nonlocal begun
            if await begin(item):
                begun += 1
            else:
                self.progress.advance()

        await self.concurrently(act, items)
        return begun

    async def _until_settled(self, what: str, waiting: int, count_waiting: Callable[[], Awaitable[int]]) -> None:
        moved = self._clock()
        rests = iter(_REST_SECONDS)
        while waiting:
            began = self._clock()
            left = await count_waiting()
            now = self._clock()
            self.progress.advance(waiting - left)
            if left < waiting:
                moved = now
            elif now - moved >= STALLED_SECONDS:
                raise _Stalled(f"{left:,} {what} wait, and none was settled for a minute; backroom jobs says more")
            waiting = left
            if waiting:
                await self.sleep(max(next(rests, _REST_SECONDS[-1]), _SHARE * (now - began)))


async def guarded(step: Step, work: Awaitable[Answer]) -> Answer:
    """Turns an error that ends the replay into one line that names the step."""
    try:
        return await work
    except grpc.aio.AioRpcError as error:
        refusal = refusal_of(error)
        text = f"{refusal.reason}: {refusal.message}" if refusal else error.details() or "no answer"
        raise ReplayFailed(f"not all {step.value}: {error.code().name}: {text}") from error
    except (UnexpectedAnswer, _Stalled) as error:
        raise ReplayFailed(f"not all {step.value}: {error}") from error


def reason_of(refusal: Refusal) -> str:
    return refusal.reason or refusal.code.name


def may_pass(error: grpc.aio.AioRpcError) -> bool:
    """Whether the same call may succeed when retried."""
    refusal = refusal_of(error)
    if refusal is None:
        # gRPC itself reports INTERNAL if a message was being written to a stream that just broke.
        return error.code() in {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.INTERNAL}
    return refusal.code is grpc.StatusCode.UNAVAILABLE or refusal.retry_delay is not None

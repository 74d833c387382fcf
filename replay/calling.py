"""How a replay calls: patiently, a bounded number at once, with a count of what was refused."""

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
"""How many changes may wait for the provider: the server's queue stays short, and the progress is seen."""

RETRY_SECONDS = (0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0, 5.0)
"""In seconds: how long to wait before each further try, when the server is away or busy for a moment."""

STALLED_SECONDS = 60.0
"""In seconds: how long it may be that nothing of what waits is settled."""

_REST_SECONDS = (0.05, 0.1, 0.2, 0.5)
"""In seconds: how long to rest after each look at what waits; the last one again and again."""
_SHARE = 1.0
"""How long to rest at least, in times of how long a look took: what is waited for needs the server too."""

_OF_THE_CHANGE = frozenset(
    {
        grpc.StatusCode.INVALID_ARGUMENT,
        grpc.StatusCode.NOT_FOUND,
        grpc.StatusCode.ALREADY_EXISTS,
        grpc.StatusCode.FAILED_PRECONDITION,
        grpc.StatusCode.ABORTED,
    }
)
"""The codes that refuse one change and say nothing of the next one."""

Answer = TypeVar("Answer")
Item = TypeVar("Item")
Sleep = Callable[[float], Awaitable[None]]
Clock = Callable[[], float]


class ReplayFailed(Exception):
    """The replay cannot go on; the text is one line that says at what it stopped, and why."""


class Step(Enum):
    """What a replay does, one after the other; the value is what is then done."""

    IMPORT = "products imported"
    RECEIVE = "products stocked"
    PLACE = "orders placed"
    PAY = "orders paid"
    WRITE_OFF = "write-offs booked"
    RETURN = "returns booked"


class Progress(Protocol):
    """Is told how far the replay has come."""

    def begin(self, step: Step, total: int) -> None: ...

    def advance(self, count: int = 1) -> None: ...


class _Stalled(Exception):
    """The text says what waits."""


class Calls:
    """What every step calls by."""

    def __init__(self, progress: Progress, sleep: Sleep, clock: Clock) -> None:
        self.progress = progress
        self.sleep = sleep
        self._clock = clock
        self._refused: Counter[tuple[str, str]] = Counter()
        self._examples: dict[tuple[str, str], str] = {}

    @property
    def refusals(self) -> Sequence[Refusals]:
        """What was refused so far, in the order in which each first came."""
        return [
            Refusals(what, reason, count, self._examples[what, reason])
            for (what, reason), count in self._refused.items()
        ]

    def refuse(self, what: str, which: str, reason: str, message: str) -> None:
        """Counts a change that was refused."""
        self._refused[what, reason] += 1
        self._examples.setdefault((what, reason), f"{which}: {message}")

    async def change(self, what: str, which: str, call: Callable[[], Awaitable[Answer]]) -> Answer | None:
        """The answer; None where this change was refused, which is counted then."""
        try:
            return await self.with_retries(call)
        except grpc.aio.AioRpcError as error:
            refusal = refusal_of(error)
            if refusal is None or refusal.code not in _OF_THE_CHANGE:
                raise
            self.refuse(what, which, reason_of(refusal), refusal.message)
            return None

    async def with_retries(self, call: Callable[[], Awaitable[Answer]]) -> Answer:
        """Makes a call that is safe to repeat, and repeats it while the server is away or busy."""
        for delay in RETRY_SECONDS:
            try:
                return await call()
            except grpc.aio.AioRpcError as error:
                if not may_pass(error):
                    raise
            await self.sleep(delay)
        return await call()

    async def concurrently(self, act: Callable[[Item], Awaitable[None]], items: Iterable[Item]) -> None:
        """Acts on all items, on a bounded number at once; the first failure ends the others and rises."""
        await concurrently(act, items, at_once=IN_FLIGHT)

    async def settle(
        self,
        what: str,
        items: Sequence[Item],
        begin: Callable[[Item], Awaitable[bool]],
        look: Callable[[], Awaitable[int]],
    ) -> None:
        """Begins what is done behind the answers, waits until it is settled, and advances by each item.

        `begin` says whether an item is to be waited for, and `look` how many of all those still wait.
        Where for a minute nothing was settled, that ends the step.
        """
        for start in range(0, len(items), UNDER_WAY):
            begun = await self._begin(begin, items[start : start + UNDER_WAY])
            await self._until_settled(what, begun, look)

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

    async def _until_settled(self, what: str, waiting: int, look: Callable[[], Awaitable[int]]) -> None:
        moved = self._clock()
        rests = iter(_REST_SECONDS)
        while waiting:
            began = self._clock()
            left = await look()
            now = self._clock()
            self.progress.advance(waiting - left)
            if left < waiting:
                moved = now
            elif now - moved >= STALLED_SECONDS:
                raise _Stalled(f"{left:,} {what} wait, and none was settled for a minute; backroom jobs tells more")
            waiting = left
            if waiting:
                await self.sleep(max(next(rests, _REST_SECONDS[-1]), _SHARE * (now - began)))


async def guarded(step: Step, work: Awaitable[Answer]) -> Answer:
    """Turns what ends the replay into one line that names the step."""
    try:
        return await work
    except grpc.aio.AioRpcError as error:
        refusal = refusal_of(error)
        said = f"{refusal.reason}: {refusal.message}" if refusal else error.details() or "no answer"
        raise ReplayFailed(f"not all {step.value}: {error.code().name}: {said}") from error
    except (UnexpectedAnswer, _Stalled) as error:
        raise ReplayFailed(f"not all {step.value}: {error}") from error


def reason_of(refusal: Refusal) -> str:
    return refusal.reason or refusal.code.name


def may_pass(error: grpc.aio.AioRpcError) -> bool:
    """Whether the same call may be answered better in a moment."""
    refusal = refusal_of(error)
    if refusal is None:
        # gRPC itself says INTERNAL where a message was being written to a stream that just broke.
        return error.code() in {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.INTERNAL}
    return refusal.code is grpc.StatusCode.UNAVAILABLE or refusal.retry_delay is not None

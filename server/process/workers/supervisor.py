import asyncio
import signal
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress

import structlog

from server.process.failure import Failure, Interrupted
from server.process.workers.line import Assignment
from server.process.workers.member import Member
from server.process.workers.sums import Reading, added

_FIRST_PAUSE, _LONGEST_PAUSE = 0.2, 30.0
"""In seconds."""
_SETTLED = 60.0
"""In seconds: after serving for so long, an end has nothing to do with the one before."""
_MOST_UNSERVED = 5
"""How often in a row a worker may end before it serves: what keeps it from it will not pass by itself."""


class Restarts:
    """How soon one worker is started again after each end, and for how long it is tried."""

    def __init__(self) -> None:
        self._in_a_row = 0
        self._unserved = 0

    def pause(self, served: float | None) -> float | None:
        """How many seconds to wait after it served for so many, or never (None); None where it is to be given up."""
        self._unserved = 0 if served is not None else self._unserved + 1
        if self._unserved >= _MOST_UNSERVED:
            return None
        if served is not None and served >= _SETTLED:
            self._in_a_row = 0
        self._in_a_row += 1
        return min(_LONGEST_PAUSE, _FIRST_PAUSE * 2.0 ** (self._in_a_row - 1))


class Supervisor:
    """Keeps several workers serving, each a process of its own, and knows what they count together."""

    def __init__(
        self,
        assignments: Sequence[Assignment],
        logger: structlog.typing.FilteringBoundLogger,
        *,
        on_serving: Callable[[], Awaitable[None]],
        stopped_within: float,
    ) -> None:
        """`on_serving` is called once, when all of them serve; a worker that stops has so many seconds."""
        self._assignments = assignments
        self._logger = logger
        self._on_serving = on_serving
        self._stopped_within = stopped_within
        self._members: dict[int, Member] = {}
        self._ended = Reading()
        """What those counted that are no more."""
        self._all_served = False
        self._failure: Failure | None = None
        self._stop = asyncio.Event()
        self._at_once = asyncio.Event()

    async def run(self) -> None:
        """Returns once it was asked to stop and all have ended; raises Failure where they cannot be kept serving.

        A second Ctrl-C ends them at once.
        """
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, self._stop.set)
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
            loop.add_signal_handler(signal.SIGHUP, self._stop.set)
        loop.add_signal_handler(signal.SIGINT, self._interrupt)
        async with asyncio.TaskGroup() as keeping:
            for assignment in self._assignments:
                keeping.create_task(self._keep(assignment))
        if self._failure is not None:
            raise self._failure
        self._logger.info("stopped")

    def _interrupt(self) -> None:
        if self._stop.is_set():
            self._failure = self._failure or Interrupted("interrupted twice: the calls under way were cut off")
            self._at_once.set()
        self._stop.set()

    def _give_up(self, why: str) -> None:
        self._failure = self._failure or Failure(why)
        self._stop.set()

    async def _keep(self, assignment: Assignment) -> None:
        """Has one worker serve until the stop, however often it must be started."""
        number, restarts = assignment.number, Restarts()
        while not self._stop.is_set():
            member = self._members[number] = await self._start(assignment)
            code = await member.attend(self._stop, self._at_once, self._stopped_within)
            del self._members[number]
            self._ended = added([self._ended, member.metrics.lasting()])
            pause = self._judge(number, member, code, restarts)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stop.wait(), pause)

    async def _start(self, assignment: Assignment) -> Member:
        member = await Member.start(*assignment.inherited)

        async def assign(_: str) -> str:
            return assignment.written()

        async def serves(_: str) -> str:
            member.serving_since = asyncio.get_running_loop().time()
            return ""

        async def is_ready(_: str) -> str:
            member.ready = True
            does = "serves" if assignment.serves else "does the jobs"
            self._logger.info(f"a worker {does}", worker=assignment.number, pid=member.pid)
            await self._look_whether_all_serve()
            return ""

        async def refuses(why: str) -> str:
            member.refusal = why
            return ""

        member.line.answer("assignment", assign)
        member.line.answer("serving", serves)
        member.line.answer("ready", is_ready)
        member.line.answer("refusing", refuses)
        member.line.answer("metrics", self._metrics)
        return member

    async def _look_whether_all_serve(self) -> None:
        serving = [member for member in self._members.values() if member.ready]
        if len(serving) == len(self._assignments) and not self._all_served:
            self._all_served = True
            await self._on_serving()

    def _judge(self, number: int, member: Member, code: int, restarts: Restarts) -> float:
        """Returns in how many seconds a worker that has ended is to be started again, or gives up."""
        line: dict[str, object] = {"worker": number, "pid": member.pid, "code": code}
        if member.refusal:
            line["why"] = member.refusal
        if self._stop.is_set():
            said = self._failure is not None and member.refusal == str(self._failure)
            # That signal ends it itself as long as it does not serve.
            if code not in (0, -signal.SIGTERM) and not said:
                self._logger.error("a worker ended", **line)
            return 0.0
        if member.refusal and not self._all_served:
            self._give_up(member.refusal)
            return 0.0
        since = member.serving_since
        pause = restarts.pause(None if since is None else asyncio.get_running_loop().time() - since)
        self._logger.error("a worker ended", **line, again_in=pause)
        if pause is None:
            self._give_up(member.refusal or f"worker {number} ends again and again before it serves")
        return pause or 0.0

    async def _metrics(self, _: str) -> str:
        """What all have counted, those included that are no more."""
        serving = [member for member in self._members.values() if member.serving_since is not None]
        await asyncio.gather(*(member.look() for member in serving))
        return str(added([self._ended, *(member.metrics for member in self._members.values())]))

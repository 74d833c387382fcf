import asyncio
import signal
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress

import structlog

from server.process.failure import Failure, Interrupted
from server.process.workers.channel import Assignment
from server.process.workers.merged_metrics import MetricsSnapshot, merged
from server.process.workers.worker_process import WorkerProcess

_FIRST_PAUSE_SECONDS, _MAX_PAUSE_SECONDS = 0.2, 30.0
"""In seconds."""
_STABLE_SECONDS = 60.0
"""In seconds: after serving for so long, an end has nothing to do with the one before."""
_MAX_UNSERVED = 5
"""How often in a row a worker may end before it serves: what keeps it from it will not pass by itself."""


class RestartPolicy:
    """How soon one worker is started again after each end, and for how long it is tried."""

    def __init__(self) -> None:
        self._in_a_row = 0
        self._unserved = 0

    def pause(self, served: float | None) -> float | None:
        """How many seconds to wait after it served for so many, or never (None); None where it is not to be started
        again."""
        self._unserved = 0 if served is not None else self._unserved + 1
        if self._unserved >= _MAX_UNSERVED:
            return None
        if served is not None and served >= _STABLE_SECONDS:
            self._in_a_row = 0
        self._in_a_row += 1
        return min(_MAX_PAUSE_SECONDS, _FIRST_PAUSE_SECONDS * 2.0 ** (self._in_a_row - 1))


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
        self._worker_processes: dict[int, WorkerProcess] = {}
        self._ended = MetricsSnapshot()
        """What those counted that are no more."""
        self._all_served = False
        self._failure: Failure | None = None
        self._stop = asyncio.Event()
        self._at_once = asyncio.Event()

    async def run(self) -> None:
        """Returns once it was stopped and all have ended; raises Failure where they cannot be kept serving.

        A second Ctrl-C ends them immediately.
        """
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, self._stop.set)
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
            loop.add_signal_handler(signal.SIGHUP, self._stop.set)
        loop.add_signal_handler(signal.SIGINT, self._interrupt)
        async with asyncio.TaskGroup() as tasks:
            for assignment in self._assignments:
                tasks.create_task(self._keep_serving(assignment))
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

    async def _keep_serving(self, assignment: Assignment) -> None:
        """Has one worker serve until the stop, however often it must be started."""
        number, restarts = assignment.number, RestartPolicy()
        while not self._stop.is_set():
            worker_process = self._worker_processes[number] = await self._start(assignment)
            code = await worker_process.wait_until_ended(self._stop, self._at_once, self._stopped_within)
            del self._worker_processes[number]
            self._ended = merged([self._ended, worker_process.metrics.lasting()])
            pause = self._restart_delay(number, worker_process, code, restarts)
            with suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._stop.wait()

    async def _start(self, assignment: Assignment) -> WorkerProcess:
        worker_process = await WorkerProcess.start(*assignment.inherited)

        async def assign(_: str) -> str:
            return assignment.written()

        async def serves(_: str) -> str:
            worker_process.serving_since = asyncio.get_running_loop().time()
            return ""

        async def is_ready(_: str) -> str:
            worker_process.ready = True
            event = "worker_serving" if assignment.serves else "worker_doing_jobs"
            self._logger.info(event, worker=assignment.number, pid=worker_process.pid)
            await self._check_all_serving()
            return ""

        async def refuses(why: str) -> str:
            worker_process.refusal = why
            return ""

        worker_process.channel.answer("assignment", assign)
        worker_process.channel.answer("serving", serves)
        worker_process.channel.answer("ready", is_ready)
        worker_process.channel.answer("refusing", refuses)
        worker_process.channel.answer("metrics", self._metrics)
        return worker_process

    async def _check_all_serving(self) -> None:
        serving = [worker_process for worker_process in self._worker_processes.values() if worker_process.ready]
        if len(serving) == len(self._assignments) and not self._all_served:
            self._all_served = True
            await self._on_serving()

    def _restart_delay(self, number: int, worker_process: WorkerProcess, code: int, restarts: RestartPolicy) -> float:
        """Returns in how many seconds a worker that has ended is to be started again, or gives up."""
        fields: dict[str, object] = {"worker": number, "pid": worker_process.pid, "code": code}
        if worker_process.refusal:
            fields["why"] = worker_process.refusal
        if self._stop.is_set():
            already_reported = self._failure is not None and worker_process.refusal == str(self._failure)
            # That signal ends it itself as long as it does not serve.
            if code not in (0, -signal.SIGTERM) and not already_reported:
                self._logger.error("worker_ended", **fields)
            return 0.0
        if worker_process.refusal and not self._all_served:
            self._give_up(worker_process.refusal)
            return 0.0
        since = worker_process.serving_since
        pause = restarts.pause(None if since is None else asyncio.get_running_loop().time() - since)
        self._logger.error("worker_ended", **fields, again_in=pause)
        if pause is None:
            self._give_up(worker_process.refusal or f"worker {number} ends again and again before it serves")
        return pause or 0.0

    async def _metrics(self, _: str) -> str:
        """What all have counted, those included that are no more."""
        serving = [
            worker_process
            for worker_process in self._worker_processes.values()
            if worker_process.serving_since is not None
        ]
        await asyncio.gather(*(worker_process.read_metrics() for worker_process in serving))
        return str(
            merged([self._ended, *(worker_process.metrics for worker_process in self._worker_processes.values())])
        )

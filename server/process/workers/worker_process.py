import asyncio
import socket
from contextlib import suppress

from server.process.program import this_program
from server.process.workers.channel import WorkerChannel
from server.process.workers.merged_metrics import MetricsSnapshot

_ANSWER_SECONDS = 1.0
"""In seconds; of a worker that is slower, what it last said counts."""


class WorkerProcess:
    """One worker process, as its supervisor sees it, from its start to its end."""

    def __init__(self, process: asyncio.subprocess.Process, channel: WorkerChannel) -> None:
        self._process = process
        self.channel = channel
        self.serving_since: float | None = None
        """By the loop's clock, from when it listens on; None before."""
        self.ready = False
        """Whether its calls were answered, once."""
        self.refusal = ""
        """Why it does not serve, where it said so."""
        self.metrics = MetricsSnapshot()
        """What it counted when it was last asked."""

    @classmethod
    async def start(cls, *inherited: int) -> "WorkerProcess":
        """A new Python, which gets these descriptors, its end of the line as standard input, and nothing else."""
        ours, theirs = socket.socketpair()
        with theirs:
            process = await asyncio.create_subprocess_exec(
                *this_program("serving-process"),
                stdin=theirs.fileno(),
                pass_fds=inherited,
                # Ctrl-C is the supervisor's to handle: it stops its workers.
                start_new_session=True,
            )
        return cls(process, await WorkerChannel.open(ours))

    @property
    def pid(self) -> int:
        return self._process.pid

    async def read_metrics(self) -> None:
        """Asks for its metrics."""
        with suppress(TimeoutError, ConnectionError):
            async with asyncio.timeout(_ANSWER_SECONDS):
                self.metrics = MetricsSnapshot.parsed(await self.channel.ask("metrics"))

    async def wait_until_ended(self, stop: asyncio.Event, at_once: asyncio.Event, within: float) -> int:
        """Returns its exit code once it has ended.

        It is asked to end when `stop` is set, and is ended when `at_once` is, or so many seconds after it was asked.
        """
        talking = asyncio.create_task(self.channel.run())
        ended = asyncio.create_task(self._process.wait())
        if not await _ended_before(ended, stop):
            with suppress(ProcessLookupError):
                self._process.terminate()
            if not await _ended_before(ended, at_once, within):
                with suppress(ProcessLookupError):
                    self._process.kill()
        code = await ended
        await talking
        return code


async def _ended_before(ended: asyncio.Task[int], event: asyncio.Event, within: float | None = None) -> bool:
    """Whether a process ended before something else came, or so many seconds went by."""
    other = asyncio.create_task(event.wait())
    await asyncio.wait([ended, other], timeout=within, return_when=asyncio.FIRST_COMPLETED)
    other.cancel()
    return ended.done()

"""What a process of `server.frame.processes` does: it answers one request at a time, each after its length.

It bounds its own memory, and its CPU time for each request, so that the bounds hold on a busy machine, too.
"""

import resource
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from math import ceil
from types import FrameType

HEADER_BYTES = 4
_MORE_CPU_SECONDS = 1.0


class OutOfTime(BaseException):
    """A request exceeded its CPU time. Not an Exception, so that no library takes it for one of its own."""


def answer_requests(answered: Callable[[bytes], bytes], *, max_memory_bytes: int) -> None:
    """Answers each request of the standard input, until it ends; the memory is counted in addresses."""
    resource.setrlimit(resource.RLIMIT_AS, (max_memory_bytes, max_memory_bytes))
    signal.signal(signal.SIGPROF, _out_of_time)
    requests, answers = sys.stdin.buffer, sys.stdout.buffer
    while len(header := requests.read(HEADER_BYTES)) == HEADER_BYTES:
        answer = answered(requests.read(int.from_bytes(header)))
        answers.write(len(answer).to_bytes(HEADER_BYTES) + answer)
        answers.flush()


@contextmanager
def bounded(cpu_seconds: float) -> Iterator[None]:
    """Raises OutOfTime in the block after so much CPU time, at the next step of Python's.

    What then takes no such step, in a library in C, ends the process soon after.
    """
    used = resource.getrusage(resource.RUSAGE_SELF)
    end_seconds = ceil(used.ru_utime + used.ru_stime + cpu_seconds + _MORE_CPU_SECONDS)
    resource.setrlimit(resource.RLIMIT_CPU, (end_seconds, resource.RLIM_INFINITY))
    signal.setitimer(signal.ITIMER_PROF, cpu_seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        resource.setrlimit(resource.RLIMIT_CPU, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


def _out_of_time(_signal: int, _frame: FrameType | None) -> None:
    raise OutOfTime

"""A process that works on texts until its input ends: `python -m server.articles.rendering`.

It bounds its own CPU time for each text, and its memory, so that the bounds hold on a busy machine, too.
"""

import resource
import signal
import sys
from types import FrameType
from typing import Any, BinaryIO

import orjson

from server.articles.rendering.comparing import compared
from server.articles.rendering.markdown import rendered
from server.articles.rendering.work import CPU_SECONDS, HEADER_BYTES, MAX_HTML_BYTES, MAX_MEMORY_BYTES


class _OutOfTime(BaseException):
    """Not an Exception, so that no library takes it for one of its own."""


def _out_of_time(_signal: int, _frame: FrameType | None) -> None:
    raise _OutOfTime


def _answered(request: Any) -> dict[str, Any]:
    try:
        signal.setitimer(signal.ITIMER_PROF, CPU_SECONDS[request["kind"]])
        try:
            return _done(request)
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)
    except (_OutOfTime, MemoryError, RecursionError) as error:
        return {"failed": type(error).__name__}


def _done(request: Any) -> dict[str, Any]:
    if request["kind"] == "compare":
        return {"hunks": compared(request["before"], request["after"])}
    html, plain = rendered(request["content"])
    if len(html.encode()) > MAX_HTML_BYTES:
        return {"failed": "too large"}
    return {"html": html, "plain": plain}


def work(requests: BinaryIO, answers: BinaryIO) -> None:
    """Answers each request, until there are no more."""
    while len(header := requests.read(HEADER_BYTES)) == HEADER_BYTES:
        answer = orjson.dumps(_answered(orjson.loads(requests.read(int.from_bytes(header)))))
        answers.write(len(answer).to_bytes(HEADER_BYTES) + answer)
        answers.flush()


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_AS, (MAX_MEMORY_BYTES, MAX_MEMORY_BYTES))
    signal.signal(signal.SIGPROF, _out_of_time)
    work(sys.stdin.buffer, sys.stdout.buffer)

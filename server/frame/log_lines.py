"""Log lines on their way out: those of calls are written some at a time."""

import asyncio
import threading
from collections import deque
from collections.abc import Mapping, MutableMapping
from datetime import UTC, datetime
from typing import Any, TextIO

import orjson

FLUSH_SECONDS = 0.02
"""How long a line below a warning may wait for others."""


class LogLines:
    """Lines in JSON, in the order in which they were logged.

    A line for each call, made and written by itself, was a quarter of what a small call cost. So in an event loop, a
    line below a warning waits up to FLUSH_SECONDS, and is made and written together with those that follow. A warning
    is written immediately, with all lines before it, and so is everything at the process's end. Only what the system
    kills without a word, as by SIGKILL, loses the lines of its last FLUSH_SECONDS.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._waiting: deque[Mapping[str, Any]] = deque()
        self._flushing = threading.Lock()
        self._timer_on: asyncio.AbstractEventLoop | None = None

    def info(self, line: Mapping[str, Any]) -> None:
        """Soon, if an event loop runs here; otherwise immediately."""
        self._waiting.append(line)
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            self.flush()
            return
        if self._timer_on is not loop:
            self._timer_on = loop
            loop.call_later(FLUSH_SECONDS, self._flush_on_time)

    debug = info

    def error(self, line: Mapping[str, Any]) -> None:
        """Immediately, behind all lines that wait."""
        self._waiting.append(line)
        self.flush()

    warning = critical = error

    def write(self, text: str) -> None:
        """Text that is complete, behind all lines that wait."""
        self.flush()
        self._stream.write(text)

    def flush(self) -> None:
        """Writes all that waits."""
        with self._flushing:
            if self._waiting:
                lines = [self._waiting.popleft() for _ in range(len(self._waiting))]
                self._stream.write("".join([rendered(line) + "\n" for line in lines]))
            self._stream.flush()

    def _flush_on_time(self) -> None:
        self._timer_on = None
        self.flush()


def stamped(level: str, event: MutableMapping[str, Any]) -> Mapping[str, Any]:
    """The line, with its level and the time, which is now."""
    event["level"] = level
    event["time"] = datetime.now(UTC)
    return event


def rendered(line: Mapping[str, Any]) -> str:
    return orjson.dumps(line, repr, orjson.OPT_UTC_Z).decode()

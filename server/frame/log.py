"""How the log is written: JSON for machines, colored lines for a person at a terminal."""

import asyncio
import atexit
import logging
import math
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from time import monotonic
from typing import Any, TextIO

import structlog

from server.frame.log_lines import LogLines, rendered, stamped

LIBRARY_MESSAGE = "library_message"
"""Of every line that reports a library's message: `logger` names the library, and `text` is the first line of its
message.

gRPC's words are left out, and only their place is named: whoever calls can have a header quoted, a token too.
"""
ANSWER_NOT_DELIVERED = "answer_not_delivered"
"""The caller's connection ended while it was answered; the call's own line says how it was answered."""
LIBRARY_FIELDS = ("text", "error", "fault")
"""The fields that a library's message becomes, in addition to its event."""
_DATABASE = ("psycopg", "procrastinate", "sqlalchemy", "asyncio")
"""Libraries whose errors during an outage of the database reach us too: `Outage` and each call's own line report
them."""
_DONE_BY_ANOTHER = "Job was not found"
"""The queue's, of a job that another worker was given while this one did not reach the database."""
_LISTENER_LEFT = "Abandoning tasks that did not stop when cancelled"
"""The queue's, of its wait for notifications on a connection on which nothing gets through."""
_REPEAT_SECONDS = 60.0
_MAX_CHARACTERS = 200
"""In characters, of the text."""
_MAX_REMEMBERED = 1000
_ROOT = Path(__file__).resolve().parents[2]


def configure(level: str, style: str, stream: TextIO = sys.stderr) -> None:
    """Sets up structlog, and sends the libraries' own logging, from warnings up, the same way.

    `style` is "json", "pretty", or "auto": pretty on a terminal and JSON elsewhere.
    """
    pretty = style == "pretty" or (style == "auto" and stream.isatty())
    number = logging.getLevelNamesMapping()[level]
    lines = LogLines(stream)
    atexit.register(lines.flush)
    structlog.configure(
        processors=_colored(stream) if pretty else [_stamped],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.WriteLoggerFactory(stream) if pretty else lambda *_: lines,
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(lines)
    of_libraries = [_without_traceback, *(_colored(stream) if pretty else [_json])]
    handler.setFormatter(structlog.stdlib.ProcessorFormatter(processors=of_libraries))
    handler.addFilter(LibraryLines(number))
    logging.basicConfig(level=max(number, logging.WARNING), handlers=[handler], force=True)


def _colored(stream: TextIO) -> list[structlog.typing.Processor]:
    return [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="%H:%M:%S", utc=False, key="timestamp"),
        structlog.dev.ConsoleRenderer(colors=stream.isatty(), pad_event_to=8, sort_keys=False),
    ]


def _stamped(
    _logger: structlog.typing.WrappedLogger, level: str, event: structlog.typing.EventDict
) -> tuple[tuple[Mapping[str, Any]], Mapping[str, Any]]:
    """The arguments with which structlog calls LogLines: the line, which is made later."""
    return (stamped(level, event),), {}


def _json(_logger: structlog.typing.WrappedLogger, level: str, event: structlog.typing.EventDict) -> str:
    return rendered(stamped(level, event))


def _without_traceback(
    _logger: structlog.typing.WrappedLogger, _method: str, event: structlog.typing.EventDict
) -> structlog.typing.EventDict:
    """Drops a library's traceback, whose text may quote a payload, and keeps what `LibraryLines` says of it."""
    record: logging.LogRecord = event.pop("_record")
    event.pop("_from_structlog", None)
    event.pop("exc_info", None)
    event["logger"] = record.name
    event.update({name: getattr(record, name) for name in LIBRARY_FIELDS if hasattr(record, name)})
    return event


class LibraryLines(logging.Filter):
    """Puts our words in the place of a library's, and says the same no more than once a minute."""

    def __init__(self, level: int, clock: Callable[[], float] = monotonic) -> None:
        """Below `level` nothing is written."""
        super().__init__()
        self._level = level
        self._clock = clock
        self._logged_at: dict[str, float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        errors = list(_errors(record))
        if _library(record) in _DATABASE and _of_the_database(record, errors):
            return False
        place = f"{record.filename}:{record.lineno}"
        if any(type(error).__name__ == "ExecuteBatchError" for error in errors):  # gRPC's, which is not public
            return self._renamed(record, ANSWER_NOT_DELIVERED, place, logging.INFO)
        first_line = record.getMessage().partition("\n")[0][:_MAX_CHARACTERS]
        record.text = text = f"something at {place}" if _library(record) == "grpc" else first_line
        if errors:
            record.error = type(errors[0]).__name__
        if errors and record.name == "asyncio":
            record.fault = described(errors[0])
        return self._renamed(record, LIBRARY_MESSAGE, f"{record.name} {text}", record.levelno)

    def _renamed(self, record: logging.LogRecord, event: str, what: str, level: int) -> bool:
        """Whether it is to be written: it is severe enough, and was not logged a moment ago."""
        record.msg, record.args = event, ()
        record.levelno, record.levelname = level, logging.getLevelName(level)
        now = self._clock()
        if level < self._level or now - self._logged_at.get(what, -math.inf) < _REPEAT_SECONDS:
            return False
        if len(self._logged_at) >= _MAX_REMEMBERED:
            self._logged_at.clear()
        self._logged_at[what] = now
        return True


def _library(record: logging.LogRecord) -> str:
    return record.name.partition(".")[0]


def _errors(record: logging.LogRecord) -> Iterator[BaseException]:
    """What went wrong, as far as the record has it."""
    if record.exc_info and record.exc_info[1] is not None:
        yield record.exc_info[1]
    yield from (each for each in record.args or () if isinstance(each, BaseException))


def _of_the_database(record: logging.LogRecord, errors: list[BaseException]) -> bool:
    """Whether a library lost its connection, or its caller."""
    # Late: a supervisor of servers writes a log too, and has no use for the drivers.
    import psycopg

    from storage.errors import StoreError, translation

    ended = (StoreError, psycopg.OperationalError, psycopg.InterfaceError)
    if str(record.msg).startswith(_LISTENER_LEFT):
        return True
    for error in errors:
        if isinstance(error, asyncio.CancelledError) and _library(record) == "sqlalchemy":
            return True  # a call was cancelled while its connection was returned, which is discarded then
        if isinstance(error, Exception) and isinstance(translation(error), ended):
            return True
        cause = error.__cause__
        if isinstance(cause, psycopg.errors.RaiseException) and _DONE_BY_ANOTHER in str(cause):
            return True
    # psycopg's pool says which connection it discards.
    return any(isinstance(each, psycopg.AsyncConnection) and each.closed for each in record.args or ())


def described(error: BaseException) -> str:
    """Where an error came from, for the log: its kind and its stack, and never its text, which may quote a payload."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if "interceptors" not in frame.filename]
    stack = " < ".join(f"{_short(frame.filename)}:{frame.lineno} {frame.name}" for frame in reversed(ours))
    cause = error.__cause__
    return f"{type(error).__name__}{f' from {type(cause).__name__}' if cause else ''} at {stack}"


def _short(filename: str) -> str:
    path = Path(filename)
    return str(path.relative_to(_ROOT)) if path.is_relative_to(_ROOT) and ".venv" not in path.parts else path.name

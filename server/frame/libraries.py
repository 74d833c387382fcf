"""What the libraries log, in one line of ours each, or in none where another line says it already."""

import asyncio
import logging
import math
from collections.abc import Callable, Iterator
from time import monotonic

from server.frame.faults import described

EVENT = "a library reports"
"""Of every line that stands for a library's: `logger` names the library, and `said` is the first line of what it said.

gRPC's words are left out, and only their place is named: whoever calls can have a header quoted, a token too.
"""
UNDELIVERED = "an answer did not reach its caller"
"""The caller's connection ended while it was answered; the call's own line says how it was answered."""

SAID_OF_IT = ("said", "error", "fault")
"""What a record is given of its library's report, beside its event."""
_DATABASE = ("psycopg", "procrastinate", "sqlalchemy", "asyncio")
"""Libraries whose errors of a database that is away reach us too: `Outage` and each call's own line tell of them."""
_DONE_BY_ANOTHER = "Job was not found"
"""The queue's, of a job that another worker was given while this one did not reach the database."""
_QUIET_SECONDS = 60.0
_LONGEST = 200
"""In characters, of what is said."""
_MOST_REMEMBERED = 1000


class LibraryLines(logging.Filter):
    """Puts our words in the place of a library's, and says the same no more than once a minute."""

    def __init__(self, level: int, clock: Callable[[], float] = monotonic) -> None:
        """Below `level` nothing is written."""
        super().__init__()
        self._level = level
        self._clock = clock
        self._told_at: dict[str, float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        errors = list(_errors(record))
        if _library(record) in _DATABASE and _of_the_database(record, errors):
            return False
        place = f"{record.filename}:{record.lineno}"
        if any(type(error).__name__ == "ExecuteBatchError" for error in errors):  # gRPC's, which is not public
            return self._reword(record, UNDELIVERED, place, logging.INFO)
        first_line = record.getMessage().partition("\n")[0][:_LONGEST]
        record.said = said = f"something at {place}" if _library(record) == "grpc" else first_line
        if errors:
            record.error = type(errors[0]).__name__
        if errors and record.name == "asyncio":
            record.fault = described(errors[0])
        return self._reword(record, EVENT, f"{record.name} {said}", record.levelno)

    def _reword(self, record: logging.LogRecord, event: str, what: str, level: int) -> bool:
        """Whether it is to be written: it is severe enough, and was not said a moment ago."""
        record.msg, record.args = event, ()
        record.levelno, record.levelname = level, logging.getLevelName(level)
        now = self._clock()
        if level < self._level or now - self._told_at.get(what, -math.inf) < _QUIET_SECONDS:
            return False
        if len(self._told_at) >= _MOST_REMEMBERED:
            self._told_at.clear()
        self._told_at[what] = now
        return True


def _library(record: logging.LogRecord) -> str:
    return record.name.partition(".")[0]


def _errors(record: logging.LogRecord) -> Iterator[BaseException]:
    """What went wrong, as far as the record holds it."""
    if record.exc_info and record.exc_info[1] is not None:
        yield record.exc_info[1]
    yield from (each for each in record.args or () if isinstance(each, BaseException))


def _of_the_database(record: logging.LogRecord, errors: list[BaseException]) -> bool:
    """Whether a library had its connection taken away, or its caller."""
    # Late: a supervisor of servers writes a log too, and has no use for the drivers.
    import psycopg

    from storage.errors import StoreError, translation

    ended = (StoreError, psycopg.OperationalError, psycopg.InterfaceError)
    for error in errors:
        if isinstance(error, asyncio.CancelledError) and _library(record) == "sqlalchemy":
            return True  # a call was given up while its connection went back, which is thrown away then
        if isinstance(error, Exception) and isinstance(translation(error), ended):
            return True
        cause = error.__cause__
        if isinstance(cause, psycopg.errors.RaiseException) and _DONE_BY_ANOTHER in str(cause):
            return True
    # psycopg's pool says which connection it throws away.
    return any(isinstance(each, psycopg.AsyncConnection) and each.closed for each in record.args or ())

"""How the log is written: JSON for machines, coloured lines for a person at a terminal."""

import logging
import math
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from time import monotonic
from typing import TextIO

import orjson
import structlog


def configure(level: str, style: str, stream: TextIO = sys.stderr) -> None:
    """Sets up structlog, and sends the libraries' own logging, from warnings up, the same way.

    `style` is "json", "pretty", or "auto": pretty on a terminal and JSON elsewhere.
    """
    pretty = style == "pretty" or (style == "auto" and stream.isatty())
    processors = _coloured(stream) if pretty else [_json]
    number = logging.getLevelNamesMapping()[level]
    structlog.configure(
        processors=processors,
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.WriteLoggerFactory(stream),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(stream)
    handler.setFormatter(structlog.stdlib.ProcessorFormatter(processors=[_kind_alone, *processors]))
    handler.addFilter(_not_told_elsewhere)
    handler.addFilter(_GrpcBounded())
    logging.basicConfig(level=max(number, logging.WARNING), handlers=[handler], force=True)


_TOLD_BY_US = ("psycopg.pool", "procrastinate.utils")
"""Loggers of each failed attempt to reach the database: the error reaches us too, and `Outage` tells of it."""


class _GrpcBounded(logging.Filter):
    """Says each thing that gRPC has to say once a minute, and never with what it says it of.

    Whoever calls can have it written: a header that is no text is quoted whole, a token too, at each call.
    """

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._told_at: dict[str, float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        if record.name.partition(".")[0] != "grpc":
            return True
        place = f"{record.filename}:{record.lineno}"
        now = self._clock()
        if now - self._told_at.get(place, -math.inf) < _QUIET_SECONDS:
            return False
        self._told_at[place] = now
        record.msg = f"gRPC reports something at {place}"
        record.args = ()
        return True


_QUIET_SECONDS = 60.0


def _not_told_elsewhere(record: logging.LogRecord) -> bool:
    # A queue's worker says so each time it has lost its connection, and ends; `Worker` then begins again, and tells.
    return record.name not in _TOLD_BY_US and getattr(record, "action", "") != "side_task_failed"


def _coloured(stream: TextIO) -> list[structlog.typing.Processor]:
    return [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="%H:%M:%S", utc=False, key="timestamp"),
        structlog.dev.ConsoleRenderer(colors=stream.isatty(), pad_event_to=8, sort_keys=False),
    ]


def _json(_logger: structlog.typing.WrappedLogger, level: str, event: structlog.typing.EventDict) -> str:
    """All at once, since there is a line for each call."""
    event["level"] = level
    event["time"] = datetime.now(UTC)
    return orjson.dumps(event, repr, orjson.OPT_UTC_Z).decode()


def _kind_alone(
    _logger: structlog.typing.WrappedLogger, _method: str, event: structlog.typing.EventDict
) -> structlog.typing.EventDict:
    """Drops a library's traceback, whose text may quote a payload, and keeps the error's kind."""
    record: logging.LogRecord = event.pop("_record")
    event.pop("_from_structlog", None)
    event["logger"] = record.name
    if record.exc_info and record.exc_info[0]:
        event["error"] = record.exc_info[0].__name__
    event.pop("exc_info", None)
    return event

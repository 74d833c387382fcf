"""How the log is written: JSON for machines, coloured lines for a person at a terminal."""

import logging
import sys
from datetime import UTC, datetime
from typing import TextIO

import orjson
import structlog

from server.frame.libraries import SAID_OF_IT, LibraryLines


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
    handler.addFilter(LibraryLines(number))
    logging.basicConfig(level=max(number, logging.WARNING), handlers=[handler], force=True)


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
    """Drops a library's traceback, whose text may quote a payload, and keeps what `LibraryLines` says of it."""
    record: logging.LogRecord = event.pop("_record")
    event.pop("_from_structlog", None)
    event.pop("exc_info", None)
    event["logger"] = record.name
    event.update({name: getattr(record, name) for name in SAID_OF_IT if hasattr(record, name)})
    return event

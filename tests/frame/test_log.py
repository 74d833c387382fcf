"""What of the libraries' own logging is written."""

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import psycopg
import psycopg_pool
import pytest
import structlog
from procrastinate.exceptions import ConnectorException
from sqlalchemy.exc import DBAPIError

from server.frame import log


@pytest.fixture
def written() -> Iterator[io.StringIO]:
    """What a log in JSON says; the logging of before is put back."""
    root = logging.getLogger()
    handlers, level, former = root.handlers[:], root.level, structlog.get_config()
    stream = io.StringIO()
    log.configure("INFO", "json", stream)
    yield stream
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.configure(**former)


def lines(written: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in written.getvalue().splitlines()]


def test_grpc_neither_floods_the_log_nor_quotes_what_was_sent(written: io.StringIO) -> None:
    """A header that is no text, which may be a token, is not written, and of a thousand there is one line."""
    grpc = logging.getLogger("grpc._cython.cygrpc")
    for _ in range(1000):
        grpc.error("Invalid encoding on %s", b"Bearer s3cret\xff")
    (line,) = lines(written)
    assert line["event"] == "library_message"
    assert line["logger"] == "grpc._cython.cygrpc"
    assert "test_log.py" in line["text"]
    assert "s3cret" not in written.getvalue()


def test_a_library_s_report_is_one_line_of_ours(written: io.StringIO) -> None:
    """By a name that does not change, with whose it is, how severe, and its first line; the same once a minute."""
    for _ in range(3):
        logging.getLogger("another.part").warning("the %s\nand more", "matter")
    logging.getLogger("another.part").error("another matter")
    assert [(line["event"], line["logger"], line["level"], line["text"]) for line in lines(written)] == [
        ("library_message", "another.part", "warning", "the matter"),
        ("library_message", "another.part", "error", "another matter"),
    ]


def test_a_job_that_another_worker_was_given_meanwhile_is_no_line_of_the_queue_s(written: io.StringIO) -> None:
    """It is done there; whoever comes back from an outage cannot end it any more."""
    error = ConnectorException()
    error.__cause__ = psycopg.errors.RaiseException('Job was not found or not in "doing" or "todo" status (job id: 7)')
    logging.getLogger("asyncio").error("Task exception was never retrieved", exc_info=error)
    assert lines(written) == []


def test_a_task_s_defect_is_told_with_its_place(written: io.StringIO) -> None:
    """And without its text, which may quote a payload."""
    asked = "s3cret"
    try:
        int(asked)
    except ValueError:
        logging.getLogger("asyncio").exception("Task exception was never retrieved\nfuture: <Task s3cret>")
    (line,) = lines(written)
    assert line["text"] == "Task exception was never retrieved"
    assert line["fault"].startswith("ValueError at ")
    assert "test_log.py" in line["fault"]
    assert "s3cret" not in written.getvalue()


AWAY = psycopg.OperationalError("terminating connection due to administrator command")


def _of_the_queue() -> ConnectorException:
    error = ConnectorException("\n Database error.\n ")
    error.__cause__ = AWAY
    return error


@pytest.mark.parametrize(
    ("logger", "message", "error"),
    [
        ("procrastinate.utils", "listener error: %r", _of_the_queue()),
        (
            "procrastinate.worker.worker",
            "Side task listener failed with exception: %s, stopping worker",
            _of_the_queue(),
        ),
        ("psycopg.pool", "error connecting in 'pool-1': %s", AWAY),
        ("psycopg.pool", "task run failed: %s", psycopg_pool.PoolTimeout("no connection")),
        ("sqlalchemy.pool.impl.AsyncAdaptedQueuePool", "Exception during reset or similar", AWAY),
        ("asyncio", "Task exception was never retrieved", _of_the_queue()),
        ("asyncio", "Task exception was never retrieved", DBAPIError("SELECT", None, AWAY)),
    ],
)
def test_what_an_outage_of_the_database_makes_libraries_say_is_said_by_us(
    written: io.StringIO, logger: str, message: str, error: Exception
) -> None:
    """Where they give the error or the text alone; but a defect in the same place is told."""
    given = (message, error) if "%" in message else (message,)
    logging.getLogger(logger).error(*given, exc_info=error)
    assert lines(written) == []
    logging.getLogger(logger).error("a defect", exc_info=TypeError("of ours"))
    (line,) = lines(written)
    assert (line["text"], line["error"]) == ("a defect", "TypeError")


def test_a_caller_who_has_gone_while_being_answered_is_no_error(written: io.StringIO) -> None:
    """gRPC raises it as one, with a trace."""
    gone = type("ExecuteBatchError", (Exception,), {})()
    logging.getLogger("grpc._cython.cygrpc").error("ExecuteBatchError raised in core", exc_info=gone)
    (line,) = lines(written)
    assert (line["event"], line["level"]) == ("answer_not_delivered", "info")

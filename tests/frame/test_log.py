"""Which log records of libraries are written."""

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
    """The log in JSON; the previous logging configuration is restored."""
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
    """A binary header, which may be a token, is not logged, and a thousand of them leave one line."""
    grpc = logging.getLogger("grpc._cython.cygrpc")
    for _ in range(1000):
        grpc.error("Invalid encoding on %s", b"Bearer s3cret\xff")
    (line,) = lines(written)
    assert line["event"] == "library_message"
    assert line["logger"] == "grpc._cython.cygrpc"
    assert "test_log.py" in line["text"]
    assert "s3cret" not in written.getvalue()


def test_a_library_message_is_one_line_of_ours(written: io.StringIO) -> None:
    """With a fixed event name, the library, the level, and the first line; at most once a minute."""
    for _ in range(3):
        logging.getLogger("another.part").warning("the %s\nand more", "matter")
    logging.getLogger("another.part").error("another matter")
    assert [(line["event"], line["logger"], line["level"], line["text"]) for line in lines(written)] == [
        ("library_message", "another.part", "warning", "the matter"),
        ("library_message", "another.part", "error", "another matter"),
    ]


def test_a_job_that_another_worker_took_over_is_not_logged_by_the_queue(written: io.StringIO) -> None:
    """It runs there; the first worker, back from an outage, cannot finish it any more."""
    error = ConnectorException()
    error.__cause__ = psycopg.errors.RaiseException('Job was not found or not in "doing" or "todo" status (job id: 7)')
    logging.getLogger("asyncio").error("Task exception was never retrieved", exc_info=error)
    assert lines(written) == []


def test_a_listener_that_the_queue_leaves_behind_is_not_logged(written: io.StringIO) -> None:
    """It waits on a connection on which nothing gets through any more; the outage has a line of its own."""
    logging.getLogger("procrastinate.utils").error("Abandoning tasks that did not stop when cancelled: listener")
    assert lines(written) == []


def test_a_tasks_defect_is_logged_with_its_place(written: io.StringIO) -> None:
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
def test_library_messages_about_a_database_outage_are_replaced_by_ours(
    written: io.StringIO, logger: str, message: str, error: Exception
) -> None:
    """Whether they carry the error or only its text; but a defect in the same place is logged."""
    given = (message, error) if "%" in message else (message,)
    logging.getLogger(logger).error(*given, exc_info=error)
    assert lines(written) == []
    logging.getLogger(logger).error("a defect", exc_info=TypeError("of ours"))
    (line,) = lines(written)
    assert (line["text"], line["error"]) == ("a defect", "TypeError")


def test_a_caller_that_disconnects_during_the_response_is_no_error(written: io.StringIO) -> None:
    """gRPC logs it as one, with a traceback."""
    gone = type("ExecuteBatchError", (Exception,), {})()
    logging.getLogger("grpc._cython.cygrpc").error("ExecuteBatchError raised in core", exc_info=gone)
    (line,) = lines(written)
    assert (line["event"], line["level"]) == ("answer_not_delivered", "info")

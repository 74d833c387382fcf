"""What of the libraries' own logging is written."""

import io
import json
import logging
from collections.abc import Iterator

import pytest
import structlog

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


def test_grpc_neither_floods_the_log_nor_quotes_what_was_sent(written: io.StringIO) -> None:
    """A header that is no text, which may be a token, is not written, and of a thousand there is one line."""
    grpc = logging.getLogger("grpc._cython.cygrpc")
    for _ in range(1000):
        grpc.error("Invalid encoding on %s", b"Bearer s3cret\xff")
    (line,) = map(json.loads, written.getvalue().splitlines())
    assert line["logger"] == "grpc._cython.cygrpc"
    assert "test_log.py" in line["event"]
    assert "s3cret" not in written.getvalue()


def test_other_libraries_say_what_they_have_to_say(written: io.StringIO) -> None:
    """From warnings up, as often as they do."""
    for _ in range(3):
        logging.getLogger("another").warning("the %s", "matter")
    assert [json.loads(line)["event"] for line in written.getvalue().splitlines()] == ["the matter"] * 3

"""Lines of the log are written together, and none is lost."""

import asyncio
import io
import json
import subprocess
import sys
import threading

import pytest

from server.frame.log_lines import FLUSH_SECONDS, LogLines
from tests.faults.load import until

_PROGRAM = """
import asyncio, structlog, sys
from server.frame import log

async def main():
    log.configure("INFO", "json", sys.stderr)
    for number in range(3):
        structlog.get_logger().info("call", number=number)
    {ending}

asyncio.run(main())
"""


class Writes(io.StringIO):
    """Counts how often it is written to."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def write(self, text: str) -> int:
        self.count += 1
        return super().write(text)


@pytest.fixture
def stream() -> Writes:
    return Writes()


def numbers(stream: Writes) -> list[int]:
    return [json.loads(line)["number"] for line in stream.getvalue().splitlines()]


async def test_lines_of_calls_are_written_together(stream: Writes) -> None:
    """In one piece, soon, again and again."""
    lines = LogLines(stream)
    for first in (0, 100):
        for number in range(first, first + 100):
            lines.info({"number": number})
        await until(lambda first=first: numbers(stream) == list(range(first + 100)))  # type: ignore[misc]
    assert stream.count == 2
    assert FLUSH_SECONDS <= 0.02


async def test_a_warning_is_written_immediately_behind_the_lines_before_it(stream: Writes) -> None:
    """So is what a library says."""
    lines = LogLines(stream)
    lines.info({"number": 0})
    lines.warning({"number": 1})
    assert numbers(stream) == [0, 1]
    lines.debug({"number": 2})
    lines.write('{"number": 3}\n')
    assert numbers(stream) == [0, 1, 2, 3]


def test_without_an_event_loop_a_line_is_written_immediately(stream: Writes) -> None:
    """As before a server runs, and in a thread."""
    lines = LogLines(stream)
    lines.info({"number": 0})
    assert numbers(stream) == [0]
    thread = threading.Thread(target=lines.info, args=({"number": 1},))
    thread.start()
    thread.join()
    assert numbers(stream) == [0, 1]


def test_the_lines_of_an_event_loop_that_has_ended_are_written_in_the_next(stream: Writes) -> None:
    """Its timer has never come."""
    lines = LogLines(stream)

    async def logging(number: int, *, waiting: bool) -> None:
        lines.info({"number": number})
        if waiting:
            await until(lambda: bool(numbers(stream)))

    asyncio.run(logging(0, waiting=False))
    assert numbers(stream) == []
    asyncio.run(logging(1, waiting=True))
    assert numbers(stream) == [0, 1]


@pytest.mark.parametrize("ending", ["pass", "sys.exit(3)", "raise ValueError"])
def test_nothing_is_lost_at_the_end_of_the_process(ending: str) -> None:
    """However it ends by itself."""
    ended = subprocess.run(
        [sys.executable, "-c", _PROGRAM.format(ending=ending)], capture_output=True, text=True, check=False
    )
    found = [json.loads(line) for line in ended.stderr.splitlines() if line.startswith("{")]
    assert [line["number"] for line in found if line["event"] == "call"] == [0, 1, 2]

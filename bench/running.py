"""The processes of a bench: started, waited for, and stopped at the end of the block."""

import json
import os
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_POLL_SECONDS = 0.02
_STOP_SECONDS = 30.0


class NotReady(Exception):
    """A process ended before it was ready, or took too long; the text has the end of its log."""


@dataclass(frozen=True, slots=True)
class Running:
    pid: int
    log: Path
    """Everything that it writes to standard output and to standard error; deleted at the end of the block."""
    process: subprocess.Popen[bytes]


@contextmanager
def running(
    command: Sequence[str],
    *,
    env: Mapping[str, str] = {},
    ready: Callable[[Path], object],
    within: float = 30.0,
) -> Iterator[Running]:
    """Starts a process, and yields once `ready` accepts its log; raises NotReady.

    It runs in a new empty folder, with this process's environment without Backroom's settings, plus `env`:
    the results must not depend on where and as which user the bench is run.
    """
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("BACKROOM_")}
    with tempfile.TemporaryDirectory(prefix="backroom-bench-") as folder:
        log = Path(folder) / "log"
        with log.open("wb") as out:
            process = subprocess.Popen(  # noqa: S603 - the bench's own programs
                command, env={**inherited, **env}, cwd=folder, stdin=subprocess.DEVNULL, stdout=out, stderr=out
            )
        try:
            _wait(process, log, ready, within)
            yield Running(process.pid, log, process)
        finally:
            _end(process)


def _wait(process: subprocess.Popen[bytes], log: Path, ready: Callable[[Path], object], within: float) -> None:
    deadline = time.monotonic() + within
    while not ready(log):
        if process.poll() is not None:
            raise NotReady(f"{process.args!r} ended with {process.returncode}:\n{_tail(log)}")
        if time.monotonic() > deadline:
            raise NotReady(f"{process.args!r} was not ready within {within:.0f} s:\n{_tail(log)}")
        time.sleep(_POLL_SECONDS)


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _tail(log: Path) -> str:
    return log.read_text(errors="replace")[-4000:]


def serving_line(log: Path) -> Mapping[str, Any]:
    """The line that a server, ours or a peer, logs once it serves; empty until then."""
    for text in log.read_text().splitlines(keepends=True):
        line = json.loads(text) if text.startswith("{") and text.endswith("}\n") else {}
        if line.get("event") == "serving":
            return dict(line)
    return {}

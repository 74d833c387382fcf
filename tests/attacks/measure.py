"""What an attack does to a server: how much memory it takes at its worst, and what a probe waits for."""

import json
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from subprocess import PIPE, Popen

PROBE = "tests.attacks.probe"
_MEBI = 1024.0


@dataclass(frozen=True, slots=True)
class Cost:
    """The peak of one attack."""

    megabytes: float
    """By how much the server's memory rose."""
    wait_seconds: float
    """The longest that a probe waited, by the clock."""
    cpu_seconds: float
    """The most CPU that the server used while a probe waited: its delay, without that of other work on the machine."""
    probes: int


def resident(pid: int, name: str = "VmRSS") -> float:
    """In MiB: a process's memory, or its peak (VmHWM) since `reset_peak`."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) / _MEBI
    raise AssertionError(f"{pid} has no {name}")


def reset_peak(pid: int) -> None:
    Path(f"/proc/{pid}/clear_refs").write_text("5")


class Probe:
    """A separate process that calls Health/Check on its own connection, like a kubelet."""

    def __init__(self) -> None:
        self._process = Popen([sys.executable, "-m", PROBE], stdin=PIPE, stdout=PIPE, text=True)

    def start(self, address: str, pid: int) -> None:
        """Calls a server from here on, which is that process on this machine."""
        self._tell(f"{address} {pid}")
        assert self._answer() == "ready"

    def stop(self) -> list[tuple[float, float]]:
        """For each call, in their order: the seconds it waited, and the CPU seconds that the server used meanwhile."""
        self._tell("stop")
        return [(wait, cpu) for wait, cpu in json.loads(self._answer())]

    def close(self) -> None:
        self._process.communicate(timeout=90)

    def _tell(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{line}\n")
        self._process.stdin.flush()

    def _answer(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()


def settled(pid: int) -> float:
    """The server's memory once it has stopped growing after its start."""
    before = resident(pid)
    for _ in range(20):
        time.sleep(0.25)
        now = resident(pid)
        if abs(now - before) < 0.25:
            return now
        before = now
    return before

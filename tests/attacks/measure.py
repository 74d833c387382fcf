"""The cost of an attack: a server's peak memory, and how long a probe waits."""

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
    """The increase of the server's memory."""
    delay: float
    """In seconds: the longest wait of a probe."""
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

    def __init__(self, address: str) -> None:
        self._process = Popen([sys.executable, "-m", PROBE, address], stdin=PIPE, stdout=PIPE, text=True)
        assert self._process.stdout is not None
        assert self._process.stdout.readline().strip() == "ready"

    def stop(self) -> list[float]:
        """The durations of its probes, in seconds, in order."""
        told, _ = self._process.communicate("stop\n", timeout=90)
        found: list[float] = json.loads(told)
        return found


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

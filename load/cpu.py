"""CPU time as the operating system accounts for it."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

Meter: TypeAlias = Callable[[], float]
"""CPU seconds spent so far."""

_TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")


def cpu_of(*pids: int) -> Meter:
    """The user and system CPU time of these processes, with all their threads.

    It counts in the system's ticks of 10 ms. A process that has ended keeps its last reading.
    """
    readings = dict.fromkeys(pids, 0.0)

    def read() -> float:
        for pid in pids:
            try:
                readings[pid] = _spent(Path(f"/proc/{pid}/stat").read_text())
            except (FileNotFoundError, ProcessLookupError):
                continue
        return sum(readings.values())

    read()
    return read


def _spent(stat: str) -> float:
    # The name before the last parenthesis may contain spaces and parentheses.
    fields = stat[stat.rindex(")") + 2 :].split()
    user, system = int(fields[11]), int(fields[12])
    return (user + system) / _TICKS_A_SECOND

"""For how long this process has been there, imports and all."""

import os
import time
from pathlib import Path

_STARTED = 21
"""Which field of /proc/PID/stat, counted from 0, holds the process's start, in ticks since the machine's."""


def process_age() -> float | None:
    """In seconds, to a hundredth; None where the system does not say."""
    try:
        # The command's name, in brackets, may hold blanks.
        fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
        started = int(fields[_STARTED - 2]) / os.sysconf("SC_CLK_TCK")
        age = time.clock_gettime(time.CLOCK_BOOTTIME) - started
    except (OSError, ValueError, IndexError, AttributeError):
        return None
    return age if age >= 0 else None
